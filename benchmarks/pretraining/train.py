"""Training of F2R's networks on packed planes: one set for every layout and kind of noise.

    python benchmarks/pretraining/train.py draw CLIPS WORK --count 1300 [--part 0/2] [--seed 7]
        [--heavy WEIGHTS.safetensors] [--small SHARE]
    python benchmarks/pretraining/train.py coarse WORK lite|full --minutes 20
    python benchmarks/pretraining/train.py windows WORK lite|full
    python benchmarks/pretraining/train.py fuse WORK lite|full --minutes 48 [--rate 8e-4]
    python benchmarks/pretraining/train.py export WORK lite|full OUT.safetensors

Draws are stored with what the bundled networks make of them (draws.py; 4 GB for 1,300). The coarse
network learns first; windows are then made by it, or by the bundled one where none has learnt, and
anchor and refiner of either size learn on these. Each begins from the bundled set, half of the
target is the bundled `full` networks' result (where noise is strong, that of the set after --heavy)
wherever this is any good, and CPU minutes set a cosine of the learning rate. WORK/NAME.pt is
written every four CPU-minutes, and the same command goes on from it; WORK/log.txt is the curve:
decibels on excerpts of clips that are held out, by kind of noise and layout, and (in brackets)
beside those networks.
"""

import argparse
import copy
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from draws import CENTRES, FRAMES, Draw, Draws, bundled, drawn, keep, kept, mapped, stored, windows

from f2rcli import weights
from f2rcli.engine.device import LARGE, bf16_serves
from f2rcli.models.layers import channels_last
from f2rcli.models.planar import CONFIGS, CentreFrame, CoarseNet, Neighbours, Networks
from f2rcli.planes import LAYOUTS, Layout, gathered, spread
from f2rcli.training.muon import Muon

PICTURES = ("clean", "noisy", "single", "target", "near", "nearby")
COARSE_BATCH, BATCH = 16, 8
TEACH = 0.5  # of the target is the bundled networks' result ...
POOR = 0.7  # ... unless it leaves more of the input's squared error than this
BLIND, LATTICE = 0.3, 8.0  # of the anchor's loss; of errors with the period of cells, see `cost`
CHROMA = 0.3  # of the loss of Y'CbCr pictures
SPREAD = 0.1  # of the log of the strengths that networks are told
TOGETHER = 0.6  # of coded samples are told noise or errors alone, as the engine tells them
SHORT = 0.06  # of windows lose some neighbours, as in short shots
WARM, LEAST_RATE = 100, 0.02  # steps; of the peak, at the end of the cosine
# Windows whose noise is stronger are drawn so many times as often: (sigma, times). Without it all
# gained 0.3 to 1 dB on light noise and lost as much at sigma 50.
HEAVIER = ((14 / 255, 1.5), (28 / 255, 1.5))
LEAST_ERROR = 1.7e-6  # mean square of a third of an 8-bit code: better is not seen
CHECK = 240.0  # CPU-s between looks at held-out excerpts

Batch = dict[str, Tensor]
Rng = np.random.Generator


# Batches -----------------------------------------------------------------------------------------


def turned(layout: Layout, code: int, key: str, values: NDArray[Any]) -> NDArray[Any]:
    """An array of a window flipped and, where the layout allows it, transposed; code: 0..7."""

    def plane(x: Any) -> Any:
        x = x[..., ::-1] if code & 1 else x
        x = x[..., ::-1, :] if code & 2 else x
        return np.swapaxes(x, -1, -2) if code & 4 and layout.name != "yuv422" else x

    if key in PICTURES:
        values = gathered(layout, [plane(one) for one in spread(layout, values)])
    else:
        values = plane(values)
    return np.asarray(values, np.float32)


def batched(layout: Layout, several: Sequence[Draw], rng: Rng | None) -> Batch:
    """Windows or single frames of one layout. With a generator they are turned, and what is told of
    noise is a little wrong, as it is when it is measured."""
    codes = [0 if rng is None else int(rng.integers(8)) for _ in several]
    batch = {
        key: torch.from_numpy(
            np.stack([turned(layout, c, key, w[key]) for w, c in zip(several, codes, strict=True)])
        )
        for key in several[0]
    }
    if rng is None:
        return batch
    told = batch["told"]
    wrong = np.exp(rng.normal(0, SPREAD, (*told.shape[:2], 1, 1)))
    told *= torch.from_numpy(wrong.astype(np.float32))
    for place, maps in enumerate(told):
        noise, errors = maps.chunk(2)
        if errors.max() > 0 and rng.random() < TOGETHER:
            both, none = (noise.square() + errors.square()).sqrt(), torch.zeros_like(noise)
            louder = errors.square().mean() > noise.square().mean()
            told[place] = torch.cat([none, both] if louder else [both, none])
        if "confidence" in batch and rng.random() < SHORT:
            batch["confidence"][place, rng.permutation(4)[: rng.integers(1, 4)]] = 0
    return batch


def aim(layout: Layout, batch: Batch, theirs: str) -> Tensor:
    """What is learnt: the clean picture, drawn half-way to the bundled networks' where that is any
    good; but not in chroma of Y'CbCr, of whose faint noise they leave too much."""
    clean, given = batch["clean"], batch[theirs]
    left, before = (mean_of((one - clean).square()) for one in (given, batch["noisy"]))
    share = (TEACH * (left < POOR * before).float()).view(-1, 1, 1, 1).expand_as(clean).clone()
    if layout.name.startswith("yuv"):
        share[:, layout.slices[0].stop :] = 0
    return torch.lerp(clean, given, share)


def mean_of(power: Tensor) -> Tensor:
    return power.mean((1, 2, 3))


def cost(
    layout: Layout, estimate: Tensor, target: Tensor, batch: Batch, lattice: float = 0.0
) -> Tensor:
    """Mean over pictures (B, C, h, w) of half the log of each one's squared error beside its
    input's own; of Y'CbCr, luma's and chroma's apart. lattice: how much more errors count that
    repeat from cell to cell of 2x2 pixels."""
    before = (batch["noisy"] - batch["clean"]).square()
    apart = estimate.float() - target
    parts = [(slice(None), 1.0)]
    if layout.name.startswith("yuv"):
        luma = layout.slices[0]
        parts = [(luma, 1 - CHROMA), (slice(luma.stop, None), CHROMA)]
    total = torch.zeros(())
    for part, share in parts:
        error = mean_of(apart[:, part].square())
        if lattice and not part.start:
            phases = nn.functional.avg_pool2d(apart[:, layout.slices[0]], 8)
            error = error + lattice * mean_of((phases - phases.mean(1, keepdim=True)).square())
        floor = 0.003 * mean_of(before[:, part]) + LEAST_ERROR
        total = total + share * 0.5 * torch.log(error + floor).mean()
    return total


def autocast() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=bf16_serves(LARGE))


# Stages ------------------------------------------------------------------------------------------


class CoarseStage:
    """The coarse network, on single frames of the draws."""

    def __init__(self, work: Path, size: str) -> None:
        self.network = bundled(size).train().coarse
        self.draws: dict[str, list[Draw]] = {}
        for path in sorted((work / "draws").glob("*.pkl")):
            draw = kept(path)
            self.draws.setdefault(draw.pop("layout"), []).append(draw)
        self.held = kept(work / "held.pkl")

    def loss(self, rng: Rng) -> Tensor:
        name = layout_by_share(self.draws, rng)
        layout, draws = LAYOUTS[name], self.draws[name]
        frames = [frame(draws[i], rng) for i in rng.choice(len(draws), COARSE_BATCH)]
        batch = batched(layout, frames, rng)
        with autocast():
            found = self.network(layout, batch["noisy"], batch["told"])
        return cost(layout, found, aim(layout, batch, "single"), batch)

    def look(self, network: nn.Module) -> list[tuple[str, float, float]]:
        """Kind, dB, and dB beside the bundled networks, of every held-out draw."""
        rows = []
        for kind, draw in self.held:
            frames = [frame(draw, place=place) for place in CENTRES]
            batch = batched(LAYOUTS[draw["layout"]], frames, None)
            found = network(LAYOUTS[draw["layout"]], batch["noisy"], batch["told"])
            rows.append((kind, *beside(found, batch["single"], batch["clean"])))
        return rows


def frame(draw: Draw, rng: Rng | None = None, place: int = 0) -> Draw:
    """A single frame of a draw, anyone with a generator."""
    place = place if rng is None else int(rng.integers(FRAMES))
    return {key: draw[key][place] for key in ("clean", "noisy", "single", "told")}


class FusionStage:
    """Anchor and refiner, on stored windows."""

    def __init__(self, work: Path, size: str) -> None:
        networks = bundled(size).train()
        self.network = nn.ModuleDict({"anchor": networks.anchor, "refiner": networks.refiner})
        self.windows = mapped(work / f"windows_{size}")
        self.odds = {}
        for name, fields in self.windows.items():
            told = fields["told"].astype(np.float32)
            level = np.sqrt(np.square(told).sum(1).mean((1, 2)))
            odds = np.prod([np.where(level > least, k, 1.0) for least, k in HEAVIER], axis=0)
            self.odds[name] = odds / odds.sum()
        held = kept(work / f"held_windows_{size}.pkl")
        self.held = [(kind, one) for kind, several in held for one in several]

    def loss(self, rng: Rng) -> Tensor:
        name = layout_by_share({n: f["clean"] for n, f in self.windows.items()}, rng)
        layout, fields = LAYOUTS[name], self.windows[name]
        chosen = rng.choice(len(fields["clean"]), BATCH, p=self.odds[name])
        some = [{key: value[i] for key, value in fields.items()} for i in chosen]
        batch = batched(layout, some, rng)
        with autocast():
            strict, anchor, refined = fused(self.network, layout, batch)
        blind = sum(cost(layout, one, batch["clean"], batch) for one in (strict, anchor))
        return cost(layout, refined, aim(layout, batch, "target"), batch, LATTICE) + BLIND * blind

    def look(self, network: nn.Module) -> list[tuple[str, float, float]]:
        rows = []
        for kind, window in self.held:
            layout = LAYOUTS[window["layout"]]
            batch = batched(layout, [{k: v for k, v in window.items() if k != "layout"}], None)
            refined = fused(network, layout, batch)[2]
            rows.append((kind, *beside(refined, batch["target"], batch["clean"])))
        return rows


def fused(network: Any, layout: Layout, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Strict and guided anchor, and the refined centre. Gradients stop at the anchor."""
    near = Neighbours(*(batch[key] for key in ("near", "nearby", "confidence", "worth")))
    anchor = network["anchor"](layout, near, batch["told"])
    centre = CentreFrame(batch["noisy"], batch["single"])
    refined = network["refiner"](layout, centre, batch["told"], anchor.detached(), near)
    return anchor.strict, anchor.given(batch["single"]), refined


def layout_by_share(several: dict[str, Any], rng: Rng) -> str:
    counts = np.array([len(one) for one in several.values()])
    return [*several][rng.choice(len(counts), p=counts / counts.sum())]


def beside(found: Tensor, theirs: Tensor, clean: Tensor) -> tuple[float, float]:
    """dB of a result, and how far it is ahead of another."""
    own, other = (
        float((-10 * torch.log10(mean_of((one.float() - clean).square()) + 1e-8)).mean())
        for one in (found, theirs)
    )
    return own, own - other


def train(stage: CoarseStage | FusionStage, path: Path, minutes: float, rate: float) -> None:
    """Up to so many CPU minutes, over which the learning rate falls along a cosine."""
    parameters = list(stage.network.parameters())
    channels_last(stage.network)
    mean = [p.detach().clone() for p in parameters]
    optimiser, step, spent = Muon(parameters, lr=rate), 0, 0.0
    if path.exists():
        state = torch.load(path, weights_only=True)
        step, spent, mean = state["step"], state["spent"], state["mean"]
        optimiser.load_state_dict(state["optimiser"])
        with torch.no_grad():
            for own, value in zip(parameters, state["weights"], strict=True):
                own.copy_(value)
    marked = -math.inf if not step else spent
    while True:
        if spent - marked > CHECK or spent >= 60 * minutes:
            report(stage, averaged(stage.network, mean), path, f"step {step} cpu {spent:.0f}")
            own = [p.detach() for p in parameters]
            torch.save(
                {"step": step, "spent": spent, "mean": mean, "weights": own,
                 "optimiser": optimiser.state_dict()},
                path.with_suffix(".part"),
            )  # fmt: skip
            path.with_suffix(".part").replace(path)
            marked = spent
            if spent >= 60 * minutes:
                return
        begun = time.process_time()
        falling = 0.5 * (1 + math.cos(math.pi * min(1.0, spent / (60 * minutes))))
        now = rate * min(1.0, (step + 1) / WARM) * (LEAST_RATE + (1 - LEAST_RATE) * falling)
        for group in optimiser.param_groups:
            group["lr"] = now
        loss = stage.loss(np.random.default_rng((5, step)))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        step += 1
        with torch.no_grad():
            torch._foreach_lerp_(mean, parameters, 1 - min(0.998, (1 + step) / (10 + step)))
        spent += time.process_time() - begun


def averaged(network: nn.Module, mean: Sequence[Tensor]) -> nn.Module:
    made = copy.deepcopy(network)
    with torch.no_grad():
        for own, value in zip(made.parameters(), mean, strict=True):
            own.copy_(value)
    return made.eval()


def report(stage: CoarseStage | FusionStage, network: nn.Module, path: Path, words: str) -> None:
    with torch.inference_mode(), autocast():
        rows = stage.look(network)
    kinds = {kind: np.mean([row[1:] for row in rows if row[0] == kind], 0) for kind, *_ in rows}
    every = " ".join(f"{kind} {own:.2f} ({ahead:+.2f})" for kind, (own, ahead) in kinds.items())
    ahead = np.mean([one[1] for one in kinds.values()])
    text = f"{time.strftime('%H:%M')} {path.stem} {words} | {ahead:+.3f} dB | {every}"
    print(text, flush=True)
    with (path.parent / "log.txt").open("a") as file:
        file.write(text + "\n")


# Commands ----------------------------------------------------------------------------------------


def draw(given: argparse.Namespace) -> None:
    """Draws as files; several processes may each make a part of them."""
    one, several = map(int, given.part.split("/"))
    samples, networks = Draws(given.clips, given.seed, given.small), bundled("full")
    heavy = bundled("full", given.heavy) if given.heavy else None
    (given.work / "draws").mkdir(parents=True, exist_ok=True)
    with torch.inference_mode():
        for number in range(one, given.count, several):
            path = given.work / "draws" / f"{number:05d}.pkl"
            if not path.exists():
                keep(path, drawn(samples[number], networks, heavy))
        if one == 0:
            keep(given.work / "held.pkl", [(k, drawn(s, networks)) for k, s in samples.held_out()])


def make_windows(work: Path, size: str) -> None:
    networks = with_coarse(bundled("full"), work, size)
    with torch.inference_mode():
        draws = map(kept, sorted((work / "draws").glob("*.pkl")))
        several = [one for draw in draws for one in windows(draw, networks)]
        stored(work / f"windows_{size}", several)
        held = [(kind, windows(one, networks)) for kind, one in kept(work / "held.pkl")]
        keep(work / f"held_windows_{size}.pkl", held)


def with_coarse(networks: Networks, work: Path, size: str) -> Networks:
    """The networks with the coarse one that was trained here for a size, if any was."""
    if (path := work / f"coarse_{size}.pt").exists():
        own = CoarseNet(networks.layouts, **CONFIGS[size]["coarse"])
        networks.coarse = averaged(own, torch.load(path, weights_only=True)["mean"])
    return networks.eval()


def export(work: Path, size: str, out: Path) -> None:
    """Weights as f2r bundles them."""
    networks, state = with_coarse(bundled(size), work, size), torch.load(work / f"{size}.pt")
    pair = averaged(nn.ModuleDict({"a": networks.anchor, "r": networks.refiner}), state["mean"])
    networks.anchor, networks.refiner = pair["a"], pair["r"]
    header = weights.load(f"f2r-{size}").header
    config = {**header.config, **CONFIGS[size]}
    header = replace(header, config=config, trained_on=f"clean clips: {state['step']} steps")
    print(out, weights.save(out, header, networks.state_dict()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ways = parser.add_subparsers(dest="way", required=True)
    for way in ("draw", "coarse", "windows", "fuse", "export"):
        one = ways.add_parser(way)
        if way == "draw":
            one.add_argument("clips", type=Path)
            one.add_argument("--count", type=int, default=1300)
            one.add_argument("--part", default="0/1", help="which of so many processes this is")
            one.add_argument("--seed", type=int, default=7)
            one.add_argument("--small", type=float, default=0.0, help="films with small things")
            one.add_argument("--heavy", help="weights that teach where noise is strong")
        one.add_argument("work", type=Path)
        if way != "draw":
            one.add_argument("size", choices=("lite", "full"))
        if way in ("coarse", "fuse"):
            one.add_argument("--minutes", type=float, default=48.0)
            one.add_argument("--rate", type=float, default=8e-4)
        if way == "export":
            one.add_argument("out", type=Path)
    given = parser.parse_args()
    torch.manual_seed(0)
    match given.way:
        case "draw":
            draw(given)
        case "windows":
            make_windows(given.work, given.size)
        case "export":
            export(given.work, given.size, given.out)
        case way:
            stage: Callable[[], Any] = {
                "coarse": lambda: CoarseStage(given.work, given.size),
                "fuse": lambda: FusionStage(given.work, given.size),
            }[way]
            name = f"coarse_{given.size}" if way == "coarse" else given.size
            train(stage(), given.work / f"{name}.pt", given.minutes, given.rate)


if __name__ == "__main__":
    main()
