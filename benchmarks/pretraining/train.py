"""Training of F2R's networks on packed planes: one set for every layout and kind of noise.

    python benchmarks/pretraining/train.py coarse CLIPS WORK SIZE --minutes 2 [--workers 7]
    python benchmarks/pretraining/train.py fuse CLIPS WORK SIZE --minutes 8 [--rate 1.5e-3]
        [--batch 64] [--seed 7] [--small SHARE] [--most GB]
    python benchmarks/pretraining/train.py look CLIPS WORK SIZE
    python benchmarks/pretraining/train.py export WORK SIZE OUT.safetensors

SIZE is lite or full, or lite-mosaic or full-mosaic, which learn from mosaics alone.

Workers draw samples (draws.py) for as long as networks learn, and what they made last lies in rings
on the device, a GPU where there is one: nothing is seen more often than it takes to be replaced.
The coarse network learns first; anchor and refiner learn on windows that are made by it, or by the
bundled one where none has learnt. Each begins from the bundled set. Minutes of the clock set a
cosine of the learning rate. WORK/NAME.pt is written every minute, and the same command goes on from
it. `look` says, in decibels on excerpts of clips that are held out, by kind of noise and layout,
how good a set is and (in brackets) how far ahead of the bundled one.
"""

import argparse
import itertools
import math
import multiprocessing
import os
import sys
import tempfile
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from draws import ALONE, SHARES, Draw, Draws, bundled, drawn, windows

from f2rcli import weights
from f2rcli.engine.device import LARGE, autocast, choose_device, choose_precision
from f2rcli.models.layers import channels_last
from f2rcli.models.planar import CentreFrame, Neighbours, Networks, Restored
from f2rcli.noise.model import AMONG_ERRORS
from f2rcli.planes import LAYOUTS, Layout
from f2rcli.training.excerpts import turn_of, turned_picture
from f2rcli.training.muon import Muon
from f2rcli.training.windows import dihedral

LENGTHS = {"lite": 5, "full": 7, "lite-mosaic": 7, "full-mosaic": 7}  # frames of a window
FILES = {"coarse": "coarse_{}.pt", "fuse": "{}.pt"}  # of the stages, by size
PICTURES = ("clean", "noisy", "single", "near", "nearby")
NEIGHBOURS = ("near", "nearby", "confidence", "worth")
BLIND, LATTICE = 0.3, 8.0  # of the anchor's loss; of errors with the period of cells, see `cost`
# Of the loss: errors where small things fly, weighed by contrast up to so many times the noise.
SMALL, CONTRAST = 0.15, 4.0
CHROMA = 0.3  # of the loss of Y'CbCr pictures
SPREAD = 0.1  # of the log of the strengths that networks are told
TOGETHER = 0.6  # of coded samples are told noise or errors alone, as the engine tells them
SHORT = 0.06  # of windows lose some neighbours, as in short shots
WARM, LEAST_RATE = 200, 0.02  # steps; of the peak, at the end of the cosine
# Windows whose noise is stronger are drawn so many times as often: (sigma, times). Without it all
# gained 0.3 to 1 dB on light noise and lost as much at sigma 50.
HEAVIER = ((14 / 255, 1.5), (28 / 255, 1.5))
LEAST_ERROR = 1.7e-6  # mean square of a third of an 8-bit code: better is not seen
CHECK = 60.0  # seconds between checkpoints
AHEAD = 12  # files that wait before workers do

Batch = dict[str, Tensor]
Parts = tuple[tuple[str, int, int], ...]  # name, neighbours (0: none), channels


# Samples on their way to the device --------------------------------------------------------------


def parts_of(layout: Layout, coarse: bool, length: int) -> Parts:
    """What a sample of a layout is made of, in this order, along its channels."""
    colours, maps, several = layout.channels, 2 * len(layout.planes), length - 1
    alone = (("clean", 0, colours), ("noisy", 0, colours), ("told", 0, maps), ("small", 0, 1))
    if coarse:
        return alone
    near = (("near", several, colours), ("nearby", several, colours))
    rated = (("confidence", several, 1), ("worth", several, 1))
    return (*alone, ("single", 0, colours), *near, *rated)


def worker(
    samples: Draws, folder: Path, place: int, step: int, length: int, coarse: Any | None
) -> None:
    """Draw every `step`th sample and leave it in a folder. coarse: the networks that make windows
    of it; None: its single frames."""
    os.nice(5)
    for number in itertools.count(place, step):
        while len(os.listdir(folder)) > AHEAD:
            time.sleep(0.05)
        with torch.inference_mode():
            draw = drawn(samples[number])
            made = [{key: draw[key][i] for key in ALONE} for i in range(len(draw["clean"]))]
            made = made if coarse is None else windows(draw, coarse, length)
        layout = LAYOUTS[draw["layout"]]
        rows = [joined(one, parts_of(layout, coarse is None, length)) for one in made]
        path = folder / f"{number:07d}.{layout.name}.part"
        with path.open("wb") as file:
            np.save(file, np.stack(rows))
        path.rename(path.with_suffix(".npy"))


def joined(one: Draw, parts: Parts) -> NDArray[np.float16]:
    """A sample's parts one after another: (K, h, w)."""
    shape = one["clean"].shape[-2:]
    every = [np.asarray(one[name], np.float16).reshape(-1, *shape) for name, *_ in parts]
    return np.concatenate(every)


class Rings:
    """The newest samples of every layout, on the device."""

    def __init__(self, device: torch.device, most: int) -> None:
        """most: bytes they may take in all."""
        self.device, self.most = device, most
        self.samples: dict[str, Tensor] = {}  # (count, K, h, w) float16
        self.odds: dict[str, Tensor] = {}  # (count,) of being drawn; 0 where nothing is yet
        self.written = dict.fromkeys(LAYOUTS, 0)

    def put(self, name: str, found: Tensor, maps: slice) -> None:
        """New samples in the place of the oldest. maps: the channels of what is told."""
        if name not in self.samples:
            size = 2 * math.prod(found.shape[1:])
            share = SHARES.get(name.removeprefix("yuv"), 1.0) / sum(SHARES.values())
            count = max(int(share * self.most / size), 2 * len(found))
            self.samples[name] = found.new_zeros((count, *found.shape[1:]))
            self.odds[name] = torch.zeros(count, device=self.device)
        ring = self.samples[name]
        places = torch.arange(self.written[name], self.written[name] + len(found)) % len(ring)
        level = found[:, maps].float().square().sum(1).mean((1, 2)).sqrt()
        odds = torch.ones_like(level)
        for least, times in HEAVIER:
            odds = torch.where(level > least, times * odds, odds)
        places = places.to(self.device)
        ring[places] = found
        self.odds[name][places] = odds
        self.written[name] += len(found)

    def batch(self, rng: np.random.Generator, count: int) -> tuple[Layout, Tensor]:
        """Samples of one layout, (count, K, h, w)."""
        there = [name for name in self.samples if self.written[name] >= count]
        shares = np.array([SHARES.get(name.removeprefix("yuv"), 1.0) for name in there])
        name = there[rng.choice(len(there), p=shares / shares.sum())]
        chosen = torch.multinomial(self.odds[name], count, replacement=True)
        return LAYOUTS[name], self.samples[name][chosen].float()


def fill(rings: Rings, folder: Path, done: Event) -> None:
    """Move what workers leave in a folder to the device, until all is done."""
    while not done.is_set():
        found = sorted(folder.glob("*.npy"))
        for path in found:
            name = path.name.split(".")[1]
            values = torch.from_numpy(np.load(path)).to(rings.device)
            layout = LAYOUTS[name]
            begin = 2 * layout.channels
            rings.put(name, values, slice(begin, begin + 2 * len(layout.planes)))
            path.unlink()
        if not found:
            time.sleep(0.02)


# Batches -----------------------------------------------------------------------------------------


def split(samples: Tensor, parts: Parts) -> Batch:
    """Samples' parts by name: (B, C, h, w), those of neighbours (B, N, C, h, w)."""
    several = samples.split([max(n, 1) * channels for _, n, channels in parts], 1)
    return {
        name: part.unflatten(1, (n, channels)) if n else part
        for (name, n, channels), part in zip(parts, several, strict=True)
    }


def turned(layout: Layout, batch: Batch, code: int) -> Batch:
    """One of eight flips and transposes; what is told as it was: planes that change places have
    the same noise."""
    code, order = turn_of(layout, code)
    turn = partial(turned_picture, layout, code, order)
    return {n: turn(x) if n in PICTURES else dihedral(x, code) for n, x in batch.items()}


def disturbed(batch: Batch) -> Batch:
    """What is told of noise a little wrong, as it is when it is measured; codec's errors told as
    noise or the other way round, as the engine tells them; and some neighbours missing."""
    told = batch["told"]
    told = told * torch.exp(SPREAD * torch.randn(*told.shape[:2], 1, 1, device=told.device))
    noise, errors = told.chunk(2, 1)
    both, none = (noise.square() + errors.square()).sqrt(), torch.zeros_like(noise)
    axes = (1, 2, 3)
    louder = errors.square().mean(axes) > noise.square().mean(axes)
    alone = torch.cat([AMONG_ERRORS * both, both], 1), torch.cat([both, none], 1)
    joint = torch.where(louder.view(-1, 1, 1, 1), *alone)
    there = (errors.amax(axes) > 0) & (torch.rand(len(told), device=told.device) < TOGETHER)
    batch = batch | {"told": torch.where(there.view(-1, 1, 1, 1), joint, told)}
    if "confidence" in batch:
        sure = batch["confidence"]
        count, several = sure.shape[:2]
        ranks = torch.rand(count, several, device=told.device).argsort(1)
        lost = torch.randint(1, several, (count, 1), device=told.device)
        lost = lost * (torch.rand(count, 1, device=told.device) < SHORT)
        batch["confidence"] = sure * (ranks >= lost).view(count, several, 1, 1, 1)
    return batch


def mean_of(power: Tensor) -> Tensor:
    return power.mean((1, 2, 3))


def cost(layout: Layout, estimate: Tensor, batch: Batch, lattice: float = 0.0) -> Tensor:
    """Mean over pictures (B, C, h, w) of half the log of each one's squared error beside its
    input's own; of Y'CbCr, luma's and chroma's apart. lattice: how much more errors count that
    repeat from cell to cell of 2x2 pixels."""
    before = (batch["noisy"] - batch["clean"]).square()
    apart = estimate.float() - batch["clean"]
    luma, parts = layout.slices[0], [(slice(None), 1.0)]
    if layout.name.startswith("yuv"):
        parts = [(luma, 1 - CHROMA), (slice(luma.stop, None), CHROMA)]
    total = torch.zeros((), device=apart.device)
    for part, share in parts:
        error = mean_of(apart[:, part].square())
        if lattice and not part.start:
            phases = nn.functional.avg_pool2d(apart[:, luma], 8)
            error = error + lattice * mean_of((phases - phases.mean(1, keepdim=True)).square())
        floor = 0.003 * mean_of(before[:, part]) + LEAST_ERROR
        total = total + share * 0.5 * torch.log(error + floor).mean()
    return total + SMALL * of_small(apart[:, luma], before[:, luma], batch)


def of_small(apart: Tensor, before: Tensor, batch: Batch) -> Tensor:
    """Half the log of the squared error where small things fly, beside the noise."""
    noise = mean_of(before) + LEAST_ERROR
    height = batch["small"].square()
    weight = height / (height + CONTRAST**2 * noise.view(-1, 1, 1, 1))
    there = weight.sum((1, 2, 3))
    error = (weight * apart.square().mean(1, keepdim=True)).sum((1, 2, 3)) / there.clamp_min(1e-6)
    return 0.5 * (torch.log(error / noise + 0.01) * (there > 1)).mean()


# Stages ------------------------------------------------------------------------------------------


def coarse_loss(networks: Networks, layout: Layout, batch: Batch) -> Tensor:
    """The coarse network's, on single frames."""
    return cost(layout, networks.coarse(layout, batch["noisy"], batch["told"]), batch, LATTICE)


def fusion_loss(networks: Networks, layout: Layout, batch: Batch) -> Tensor:
    """Anchor's and refiner's, on windows."""
    found = restored(networks, layout, batch)
    blind = sum(cost(layout, one, batch) for one in (found.strict, found.anchor))
    return cost(layout, found.refined, batch, LATTICE) + BLIND * blind


def restored(networks: Networks, layout: Layout, batch: Batch) -> Restored:
    centre = CentreFrame(batch["noisy"], batch["single"])
    near = Neighbours(*(batch[key] for key in NEIGHBOURS))
    found: Restored = networks(layout, centre, batch["told"], near)
    return found


def lower(device: torch.device) -> AbstractContextManager[None]:
    """Convolutions in what a device is fastest in."""
    return autocast(device, choose_precision("auto", device, LARGE))


class Learner:
    """What a stage teaches of networks, the running mean of its weights, and how far it is."""

    def __init__(self, networks: Networks, stage: str, path: Path, device: torch.device) -> None:
        self.networks, self.path = channels_last(networks.train().to(device)), path
        self.parameters = learnt(networks, stage)
        self.mean = [p.detach().clone() for p in self.parameters]
        self.optimiser, self.step, self.spent = Muon(self.parameters), 0, 0.0
        if path.exists():
            state = torch.load(path, weights_only=True, map_location=device)
            self.step, self.spent, self.mean = state["step"], state["spent"], state["mean"]
            self.optimiser.load_state_dict(state["optimiser"])
            with torch.no_grad():
                torch._foreach_copy_(self.parameters, state["weights"])

    def learn(self, loss: Tensor, rate: float) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = rate * min(1.0, (self.step + 1) / WARM)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.step += 1
        with torch.no_grad():
            kept = min(0.998, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(self.mean, self.parameters, 1 - kept)

    def keep(self) -> None:
        part = self.path.with_suffix(".part")
        own = [p.detach() for p in self.parameters]
        known = {"step": self.step, "spent": self.spent, "mean": self.mean, "weights": own}
        torch.save({**known, "optimiser": self.optimiser.state_dict()}, part)
        part.replace(self.path)


def train(given: argparse.Namespace) -> None:
    """For so many minutes, over which the learning rate falls along a cosine."""
    given.work.mkdir(parents=True, exist_ok=True)
    networks = trained(given.work, given.size, "coarse")
    samples = Draws(given.clips, given.seed, given.small, mosaic="mosaic" in given.size)
    with tempfile.TemporaryDirectory(dir=given.work) as name:
        folder = Path(name)
        fork = multiprocessing.get_context("fork")  # clips are decoded once, before it
        made_by = None if given.way == "coarse" else networks
        told = given.workers, LENGTHS[given.size], made_by
        each = [(samples, folder, place, *told) for place in range(given.workers)]
        workers = [fork.Process(target=worker, args=one, daemon=True) for one in each]
        for process in workers:
            process.start()
        device = choose_device("auto")
        learner = Learner(
            networks, given.way, given.work / FILES[given.way].format(given.size), device
        )
        rings = Rings(device, given.most)
        done = Event()
        feeder = Thread(target=fill, args=(rings, folder, done))
        feeder.start()
        try:
            while max(rings.written.values()) < 2 * given.batch:
                time.sleep(0.1)
                if not all(process.is_alive() for process in workers):
                    raise SystemExit("a worker failed: its traceback stands above")
            steps(learner, rings, given)
        finally:
            done.set()
            feeder.join()
            for process in workers:
                process.kill()


def steps(learner: Learner, rings: Rings, given: argparse.Namespace) -> None:
    loss = coarse_loss if given.way == "coarse" else fusion_loss
    losses: list[Tensor] = []
    last, until = time.monotonic(), 60 * given.minutes
    begun, before = last, learner.spent
    rng = np.random.default_rng((5, learner.step))
    while learner.spent < until:
        layout, chosen = rings.batch(rng, given.batch)
        parts = parts_of(layout, given.way == "coarse", LENGTHS[given.size])
        batch = turned(layout, split(chosen, parts), int(rng.integers(8)))
        with lower(rings.device):
            found = loss(learner.networks, layout, disturbed(batch))
        falling = 0.5 * (1 + math.cos(math.pi * min(1.0, learner.spent / until)))
        learner.learn(found, given.rate * (LEAST_RATE + (1 - LEAST_RATE) * falling))
        losses.append(found.detach())
        learner.spent = before + time.monotonic() - begun
        if time.monotonic() - last > CHECK or learner.spent >= until:
            mean, last = torch.stack(losses).mean().item(), time.monotonic()
            seen = sum(rings.written.values())
            print(
                f"{learner.path.stem} step {learner.step} after {learner.spent:.0f} s: loss "
                f"{mean:.4f}, {seen} samples",
                flush=True,
            )
            losses.clear()
            if not math.isfinite(mean):
                raise SystemExit(f"{learner.path}: the loss is {mean}")
            learner.keep()


def learnt(networks: Networks, stage: str) -> list[nn.Parameter]:
    """The parameters that a stage teaches."""
    parts = [networks.coarse] if stage == "coarse" else [networks.anchor, networks.refiner]
    return [one for part in parts for one in part.parameters()]


def trained(work: Path, size: str, *stages: str) -> Networks:
    """The bundled networks with the running means of what stages taught here, if they did."""
    networks = bundled(size)
    for stage in stages:
        if (path := work / FILES[stage].format(size)).exists():
            mean = torch.load(path, weights_only=True, map_location="cpu")["mean"]
            with torch.no_grad():
                torch._foreach_copy_(learnt(networks, stage), mean)
    return networks


# Commands ----------------------------------------------------------------------------------------


def look(given: argparse.Namespace) -> None:
    """dB by kind and layout, and beside the bundled set."""
    sets = trained(given.work, given.size, *FILES), bundled(given.size)
    rows: dict[str, list[list[float]]] = {}
    with torch.inference_mode(), lower(torch.device("cpu")):
        for kind, sample in Draws(given.clips, 0, mosaic="mosaic" in given.size).held_out():
            draw = drawn(sample)
            several = [decibels(draw, one, LENGTHS[given.size]) for one in sets]
            rows.setdefault(kind, []).append(several)
    means = {kind: np.mean(one, 0) for kind, one in rows.items()}
    for kind, (own, other) in means.items():
        print(f"{kind:12} {own:6.2f} ({own - other:+.2f})")
    print(f"{'mean':12} {np.mean([own - other for own, other in means.values()]):+13.3f}")


def decibels(draw: Draw, networks: Networks, length: int) -> float:
    """Of a draw's windows."""
    layout, every = LAYOUTS[draw["layout"]], []
    parts = parts_of(layout, coarse=False, length=length)
    for one in windows(draw, networks, length):
        batch = split(torch.from_numpy(joined(one, parts)[None]).float(), parts)
        refined = restored(networks, layout, batch).refined
        every.append(-10 * math.log10(mean_of((refined.float() - batch["clean"]).square()) + 1e-8))
    return float(np.mean(every))


def export(given: argparse.Namespace) -> None:
    """Weights as f2r bundles them."""
    networks = trained(given.work, given.size, *FILES)
    header = weights.load(f"f2r-{given.size}").header
    step = torch.load(given.work / f"{given.size}.pt", map_location="cpu")["step"]
    header = replace(header, trained_on=f"clean clips: {step} steps")
    print(given.out, weights.save(given.out, header, networks.state_dict()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ways = parser.add_subparsers(dest="way", required=True)
    for way in ("coarse", "fuse", "look", "export"):
        one = ways.add_parser(way)
        if way != "export":
            one.add_argument("clips", type=Path)
        one.add_argument("work", type=Path)
        one.add_argument("size", choices=tuple(LENGTHS))
        if way in ("coarse", "fuse"):
            one.add_argument("--minutes", type=float, default=8.0)
            one.add_argument("--rate", type=float, default=1.5e-3)
            one.add_argument("--batch", type=int, default=64)
            one.add_argument("--workers", type=int, default=1)
            one.add_argument("--seed", type=int, default=7)
            one.add_argument("--small", type=float, default=0.3, help="films with small things")
            one.add_argument("--most", type=float, default=4.0, help="GB that samples may take")
        if way == "export":
            one.add_argument("out", type=Path)
    given = parser.parse_args()
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    match given.way:
        case "look":
            look(given)
        case "export":
            export(given)
        case _:
            given.most = int(given.most * 1e9)
            train(given)


if __name__ == "__main__":
    main()
