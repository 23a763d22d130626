"""Training of the networks on packed planes, as one process that can be killed and goes on.

    python benchmarks/pretraining/train.py run lite CLIPS RUN [--steps 100000] [--seed 0]
    python benchmarks/pretraining/train.py export RUN OUT.safetensors

`run` begins where RUN/state.pt left off, with the same numbers to the bit on the same machine: a
sample depends on the seed and its number alone, a step on the seed and its own. Samples are drawn
as training goes (material.py), and today's networks go over each once: they give its flows, its
memory of the past and half of the target. RUN/log.txt has a curve on excerpts of clips that are
held out: decibels by kind of noise, beside today's networks on the same excerpts. `export` writes
the averaged weights. For weights to ship from a run that goes on, copy RUN and let the copy settle:
--steps a few hundred after where it stands, --settle as many.
"""

import argparse
import copy
import math
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from excerpts import Shown, Teachers, precision, tested, windows_of
from material import Material
from safetensors import safe_open
from safetensors.torch import save_file
from start import begun, shape_of

from f2rcli.frames import Space
from f2rcli.header import Header
from f2rcli.models.layers import channels_last
from f2rcli.models.placing import placed, warped
from f2rcli.models.planar import Coarse, Networks
from f2rcli.planes import Layout, gathered, spread
from f2rcli.training.muon import Muon
from f2rcli.weights import HEADER_KEY

SIZE, FRAMES = 128, 12  # of a sample: pixels a side, frames
HELD_OUT_EVERY = 9  # clips
# Shares of samples by layout: what test clips and most cameras hold. `material.py` draws them.
SHARES = {"rgb": 0.32, "420": 0.36, "420 10": 0.1, "444": 0.05, "422": 0.04, "gray": 0.07,
          "422 10": 0.06}  # fmt: skip
# Of samples are at least so noisy, if so many draws give one: light noise is learnt sooner.
LOUD_SHARE, LOUD, DRAWS = 0.7, 10 / 255, 10
POOL, FRESH = 72, 0.35  # samples in use, and new ones per step
BATCH = 8
TEACH = 0.5  # of the target is the full networks' result, where that is any good
BLIND, SINGLE, LATTICE = 0.3, 0.5, 8.0  # of the anchor's and the coarse loss; see `cost`
CHROMA = 0.3  # of the loss of Y'CbCr pictures
SPREAD = 0.1  # of the log of the strengths that networks are told
RATE, WARM, SLOWER = 2e-3, 200, 1500  # the learning rate's peak, and steps until it is / sqrt(2)
# Mean squared error of a third of an 8-bit code: better is not seen. With less, pictures without
# noise, whose error can fall for ever, rule the gradient.
LEAST_ERROR = 1.7e-6
CHECK = 240.0  # CPU-s between looks at held-out excerpts
KINDS = ("g3", "g10", "g30", "g50", "pg", "corr30", "h264")

Floats = NDArray[np.float32]


@dataclass
class Stream:
    """Windows of sample after sample; held: of the clips that are held out, of fixed kinds."""

    clips: Path
    seed: int

    def __post_init__(self) -> None:
        material = Material(self.clips, self.seed, SIZE, FRAMES)
        held = range(HELD_OUT_EVERY // 2, len(material.films), HELD_OUT_EVERY)
        self.held = [material.films[i] for i in held]
        material.films = [film for i, film in enumerate(material.films) if i not in held]
        self.material = material
        self.teachers = Teachers.load()

    def __getitem__(self, number: int) -> list[Shown]:
        rng = np.random.default_rng((self.seed, 1, number))
        names = list(SHARES)
        shares = np.array([*SHARES.values()])
        material = copy.copy(self.material)
        material.layouts = [names[int(rng.choice(len(names), p=shares / shares.sum()))]]
        loud = rng.random() < LOUD_SHARE
        for attempt in range(DRAWS):
            sample = material[number * DRAWS + attempt]
            sigma = float(np.sqrt(np.mean((sample.noisy[0] - sample.clean[0]) ** 2)))
            if not loud or sigma > LOUD:
                break
        return windows_of(sample, self.teachers)

    def held_out(self) -> Iterator[tuple[str, list[Shown]]]:
        """Kind of noise and layout, and windows."""
        for place, kind in enumerate(KINDS):
            for name in ("rgb", "420"):
                for film in (place, place + 2) if kind != "h264" or name == "420" else ():
                    rng = np.random.default_rng((99, place, film))
                    sample = tested(self.held[film % len(self.held)], kind, name, SIZE, FRAMES, rng)
                    yield f"{kind} {name}", windows_of(sample, self.teachers, all_=True)


# Batches -----------------------------------------------------------------------------------------


class Batch(NamedTuple):
    """Windows; see `Shown`. The centre is the second of four frames."""

    layout: Layout
    clean: Tensor  # (B, 4, C, h, w), like noisy and single
    noisy: Tensor
    single: Tensor
    target: Tensor  # (B, C, h, w)
    told: Tensor  # (B, 4, 2 P, h, w)
    memory: Tensor  # (B, 2 C + 1, h, w): noisy, coarse, worth
    flows: Floats  # (B, 4, h, w, 2)
    agreement: Tensor  # (B, 4, 1, h, w)


def turned(one: Shown, code: int) -> Shown:
    """A window flipped and, where the layout allows it, transposed; code: 0..7."""
    swap = bool(code & 4) and one.layout.name != "yuv422"

    def plane(x: Any) -> Any:
        x = x[..., ::-1] if code & 1 else x
        x = x[..., ::-1, :] if code & 2 else x
        return np.swapaxes(x, -1, -2) if swap else x

    def picture(x: Any) -> Any:
        return gathered(one.layout, [plane(p) for p in spread(one.layout, x)])

    flows = np.moveaxis(one.flows, -1, -3)  # (4, 2, h, w)
    flows = plane(flows) * np.float32([[[-1 if code & 1 else 1]], [[-1 if code & 2 else 1]]])
    flows = flows[:, ::-1] if swap else flows
    noisy, coarse, worth = one.memory
    pictures = [picture(part) for part in (one.clean, one.noisy, one.single, one.target)]
    memory = picture(noisy), picture(coarse), plane(worth)
    moved = np.ascontiguousarray(np.moveaxis(flows, -3, -1))
    return Shown(one.layout, *pictures, plane(one.told), memory, moved, plane(one.agreement))


def batched(several: Sequence[Shown], rng: np.random.Generator | None) -> Batch:
    """Windows of one layout. With a generator, what is told of noise is a little wrong, and a tenth
    of them lose some of their neighbours, as happens in short shots and beside duplicates."""

    def joined(parts: Sequence[Any]) -> Tensor:
        return torch.from_numpy(np.stack(parts).astype(np.float32))

    told, agreement = (joined([getattr(one, p) for one in several]) for p in ("told", "agreement"))
    if rng is not None:
        planes = told.shape[2]
        wrong = np.exp(rng.normal(0, SPREAD, (len(several), 1, planes, 1, 1)))
        told = told * torch.from_numpy(wrong.astype(np.float32))
        for sample in range(len(several)):
            if rng.random() < 0.1:
                agreement[sample, rng.permutation(4)[: rng.integers(1, 4)]] = 0
    pictures = [joined([getattr(one, part) for one in several]) for part in PICTURES]
    memory = joined([np.concatenate(one.memory) for one in several])
    flows = np.stack([one.flows for one in several])
    return Batch(several[0].layout, *pictures, told, memory, flows, agreement.unsqueeze(2))


PICTURES = "clean", "noisy", "single", "target"


class Estimates(NamedTuple):
    coarse: Tensor  # (B, 4, C, h, w)
    strict: Tensor
    anchor: Tensor
    refined: Tensor


def estimates(networks: Networks, batch: Batch) -> Estimates:
    """The whole pipeline on a batch."""
    layout = batch.layout
    flat = [one.flatten(0, 1) for one in (batch.noisy, batch.told)]
    coarse = Coarse(*(one.unflatten(0, (-1, 4)) for one in networks.coarse(layout, *flat)))
    centre = Coarse(*(one[:, 1] for one in coarse))
    fixed = coarse.picture.detach()
    neighbours = placed(*moved(batch, fixed[:, [0, 2, 3]]), fixed[:, 1])
    done = networks(layout, batch.noisy[:, 1], batch.told[:, 1], centre, neighbours)
    return Estimates(coarse.picture, *done)


def moved(batch: Batch, around: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Neighbours on the centre's grid: noisy, coarse, agreement, worth."""
    channels = batch.clean.shape[2]
    noisy, coarse = (torch.empty_like(batch.noisy) for _ in range(2))
    worth = torch.ones_like(batch.agreement)
    for sample in range(len(noisy)):
        past = batch.memory[sample]
        shown = [(past[:channels], past[channels : 2 * channels])]
        shown += [(batch.noisy[sample, i], around[sample, j]) for j, i in enumerate((0, 2, 3))]
        for place, pair in enumerate(shown):
            flow = batch.flows[sample, place]
            noisy[sample, place], coarse[sample, place] = warped(batch.layout, pair, flow)
        count = warped(LAYOUT_OF_MAPS, [past[-1:]], batch.flows[sample, 0])[0]
        worth[sample, 0] = count.clamp_min(1)
    return noisy, coarse, batch.agreement, worth


LAYOUT_OF_MAPS = Layout("map", ((1, 1),))


def cost(
    layout: Layout,
    estimate: Tensor,
    target: Tensor,
    shown: tuple[Tensor, Tensor],
    lattice: float = 0.0,
) -> Tensor:
    """Mean over pictures (B, C, h, w) of half the log of each one's squared error beside its
    input's own; of Y'CbCr, luma's and chroma's apart. shown: clean and noisy pictures; lattice: how
    much more errors count that repeat from cell to cell of 2x2 pixels."""
    before = (shown[1] - shown[0]).square()
    apart = estimate.float() - target
    power = apart.square()
    parts = [(slice(None), 1.0)]
    if layout.name.startswith("yuv"):
        luma = layout.slices[0]
        parts = [(luma, 1 - CHROMA), (slice(luma.stop, None), CHROMA)]
    total = torch.zeros(())
    for part, share in parts:
        error = power[:, part].mean((1, 2, 3))
        if lattice and (part.start or 0) == 0:
            error = error + lattice * uneven(apart[:, layout.slices[0]])
        floor = 0.003 * before[:, part].mean((1, 2, 3)) + LEAST_ERROR
        total = total + share * 0.5 * torch.log(error + floor).mean()
    return total


def uneven(luma: Tensor) -> Tensor:
    """Power (B,) of an error's part that differs between the phases of cells: their means over 8x8
    cells, less their common mean."""
    phases = functional.avg_pool2d(luma, 8)
    return (phases - phases.mean(1, keepdim=True)).square().mean((1, 2, 3))


def loss_of(networks: Networks, batch: Batch) -> Tensor:
    found, layout = estimates(networks, batch), batch.layout
    clean = batch.clean[:, 1]
    shown = clean, batch.noisy[:, 1]
    blind = cost(layout, found.strict, clean, shown)
    if found.anchor is not found.strict:
        blind = blind + cost(layout, found.anchor, clean, shown)
    every = [one.flatten(0, 1) for one in (found.coarse, batch.clean, batch.single, batch.noisy)]
    aim = torch.lerp(every[1], every[2], TEACH)
    single = cost(layout, every[0], aim, (every[1], every[3]))
    target = torch.lerp(clean, batch.target, TEACH)
    refined = cost(layout, found.refined, target, shown, LATTICE)
    return refined + BLIND * blind + SINGLE * single


# The run -----------------------------------------------------------------------------------------


class Run:
    """A network in training, its average, and where it stands."""

    def __init__(
        self, size: str, clips: Path, folder: Path, seed: int, start: Path | None = None
    ) -> None:
        torch.manual_seed(seed)
        self.folder, self.seed, self.size = folder, seed, size
        self.networks = begun(size)
        self.step = fit(self.networks, start) if start is not None else 0
        channels_last(self.networks)
        self.parameters = list(self.networks.parameters())
        self.mean = [p.detach().clone() for p in self.parameters]
        self.optimiser = Muon(self.parameters, lr=RATE)
        self.spent = 0.0
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "state.pt").exists():
            self.load(torch.load(folder / "state.pt", weights_only=True))
        self.stream = Stream(clips, seed)
        self.pool: deque[list[Shown]] = deque(maxlen=POOL)
        self.made = -1
        self.held = [(kind, batched(w, None)) for kind, w in self.stream.held_out()]

    def load(self, state: dict[str, Any]) -> None:
        self.step, self.spent = state["step"], state["spent"]
        with torch.no_grad():
            for own, kept in zip(self.parameters, state["weights"], strict=True):
                own.copy_(kept)
        self.mean = state["mean"]
        if "optimiser" in state:
            self.optimiser.load_state_dict(state["optimiser"])

    def save(self) -> None:
        state = {
            "step": self.step, "spent": self.spent, "size": self.size, "mean": self.mean,
            "weights": [p.detach() for p in self.parameters],
            "optimiser": self.optimiser.state_dict(),
        }  # fmt: skip
        part = self.folder / "state.part"
        torch.save(state, part)
        part.replace(self.folder / "state.pt")

    def filled(self) -> deque[list[Shown]]:
        """The samples in use at this step: the last so many of the stream."""
        newest = int(self.step * FRESH) + POOL - 1
        for number in range(max(self.made + 1, newest - POOL + 1), newest + 1):
            with torch.inference_mode():
                self.pool.append(self.stream[number])
        self.made = newest
        return self.pool

    def batch(self) -> Batch:
        rng = np.random.default_rng((self.seed, 2, self.step))
        pool = self.filled()
        layout = pool[int(rng.integers(len(pool)))][0].layout
        fit = [one for sample in pool for one in sample if one.layout is layout]
        chosen = rng.choice(len(fit), min(BATCH, len(fit)), replace=False)
        return batched([turned(fit[i], int(rng.integers(8))) for i in chosen], rng)

    def train(self, steps: int, settle: int) -> None:
        """Up to so many steps, in the last `settle` of which the learning rate falls to nothing."""
        begun_at, before = time.process_time(), self.spent
        marked, running = -math.inf, 0.0
        while True:
            self.spent = before + time.process_time() - begun_at
            if self.spent - marked > CHECK or self.step >= steps:
                self.report(running)
                self.save()
                marked = self.spent
                if self.step >= steps:
                    return
            rate = RATE * min(1, (self.step + 1) / WARM) / math.sqrt(1 + self.step / SLOWER)
            rate *= min(1.0, (steps - self.step) / settle)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            with torch.autocast("cpu", torch.bfloat16, enabled=precision() == "bf16"):
                loss = loss_of(self.networks, self.batch())
            self.optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.optimiser.step()
            self.step += 1
            share = min(0.999, (1 + self.step) / (10 + self.step))
            with torch.no_grad():
                torch._foreach_lerp_(self.mean, self.parameters, 1 - share)
            running = loss.item() if self.step == 1 else 0.99 * running + 0.01 * loss.item()

    def averaged(self) -> Networks:
        networks = copy.deepcopy(self.networks)
        with torch.no_grad():
            for own, mean in zip(networks.parameters(), self.mean, strict=True):
                own.copy_(mean)
        return networks

    def report(self, running: float) -> None:
        """The averaged networks on held-out excerpts: by kind, dB and beside today's."""
        networks = self.averaged().eval()
        rows: dict[str, list[tuple[float, ...]]] = {}
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision() == "bf16"):
            for kind, batch in self.held:
                found = estimates(networks, batch)
                singles = found.coarse[:, 1], batch.single[:, 1]
                several = (*singles, *found[1:], batch.target, batch.noisy[:, 1])
                errors = [psnr(one, batch.clean[:, 1]) for one in several]
                rows.setdefault(kind, []).append(tuple(map(float, errors)))
        means = {kind: np.mean(values, 0) for kind, values in rows.items()}
        beside = {kind: row[4] - row[5] for kind, row in means.items()}
        every = np.mean([*means.values()], 0)
        text = f"{time.strftime('%H:%M')} step {self.step} cpu {self.spent:.0f} loss {running:.4f}"
        text += f" | beside today's {np.mean([*beside.values()]):+.3f} dB"
        names = "coarse", "theirs", "strict", "anchor", "refined", "today's", "noisy"
        text += " | " + " ".join(f"{n} {v:.2f}" for n, v in zip(names, every, strict=True)) + " |"
        text += " ".join(f" {kind}: {means[kind][4]:.2f} ({b:+.2f})" for kind, b in beside.items())
        print(text, flush=True)
        with (self.folder / "log.txt").open("a") as file:
            file.write(text + "\n")


def fit(networks: Networks, start: Path) -> int:
    """Fill networks with the tensors of a file whose names and shapes are theirs; the step to go
    on from, 0 unless all are."""
    own = networks.state_dict()
    with safe_open(start, "pt") as file:
        given = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        step = int((file.metadata() or {}).get("step", 0))
    same = {n: t for n, t in given.items() if n in own and own[n].shape == t.shape}
    networks.load_state_dict({**own, **same})
    print(f"{len(same)} of {len(own)} tensors begin from {start.name}", flush=True)
    return step if len(same) == len(own) else 0


def psnr(one: Tensor, clean: Tensor) -> Tensor:
    error = (one.float() - clean).square().mean((1, 2, 3)) + 1e-8
    return (-10 * torch.log10(error)).mean()


def export(folder: Path, out: Path) -> None:
    """The averaged weights of a run, in float16."""
    state = torch.load(folder / "state.pt", weights_only=True)
    networks = begun(state["size"])
    shape = {**shape_of(state["size"]), "layouts": list(networks.layouts)}
    names = [name for name, _ in networks.named_parameters()]
    tensors = {n: m.half().contiguous() for n, m in zip(names, state["mean"], strict=True)}
    out.parent.mkdir(parents=True, exist_ok=True)
    header = Header(
        method="f2r", space=Space.RGB, channels=3, length=5, config=shape, size=state["size"],
        order="planes", trained_on=f"clean clips: {state['step']} steps of pretraining",
    )  # fmt: skip
    facts = {
        HEADER_KEY: header.to_json(),
        "step": str(state["step"]),
        "cpu_s": f"{state['spent']:.0f}",
    }
    save_file(tensors, out, facts)
    print(f"{out}: {facts}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ways = parser.add_subparsers(dest="way", required=True)
    run = ways.add_parser("run")
    run.add_argument("size", help="lite, full, or a JSON file of another shape")
    run.add_argument("clips", type=Path)
    run.add_argument("folder", type=Path)
    run.add_argument("--steps", type=int, default=100_000)
    run.add_argument("--settle", type=int, default=2000, help="last steps, of a falling rate")
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--start", type=Path, help="exported weights to go on from")
    written = ways.add_parser("export")
    written.add_argument("folder", type=Path)
    written.add_argument("out", type=Path)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    if given.way == "export":
        export(given.folder, given.out)
    else:
        Run(given.size, given.clips, given.folder, given.seed, given.start).train(
            given.steps, given.settle
        )


if __name__ == "__main__":
    main()
