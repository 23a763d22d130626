"""Training of both stages on a GPU from what `clips.py` makes: how the bundled RGB weights grew.

    python benchmarks/pretraining/fusion.py heavy CLIPS OUT --minutes 14

Begins with the bundled weights for this kind of noise, whose coarse network stays, and trains
networks of size `small` and, from the same start, of size `base`: wider ones that compute the same
at first. OUT gets `heavy_small.safetensors` and `heavy_base.safetensors`, averaged weights for
`f2r denoise --weights`, every minute and at the end. Every step is one CUDA graph.
"""

import argparse
import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from resident import Ring, draw_plan, gathered

from f2rcli import weights  # of this checkout
from f2rcli.header import Header
from f2rcli.methods.f2r import F2RNetworks
from f2rcli.training.loop.muon import ADAM_RATE, SHARE, orthogonalised
from f2rcli.training.methods.f2r.recipe import SIZES
from f2rcli.training.methods.f2r.stages import FusionStage

STARTS = {"heavy": "f2r-rgb-small", "light": "f2r-rgb-light"}
RATES = {"small": 1.2e-3, "base": 1.5e-3}  # of Muon, at their peak
BATCH, WARMUP, AVERAGED, MOMENTUM = 32, 300, 0.999, 0.95
BETAS = (0.9, 0.99)
SMALL_SHARE, SMALL_END = 2 / 3, 0.6  # of the time while it is trained; when it is ready
ROUNDS_HELD, HELD_OUT = 10, 24  # batches to validate on, clips that they are drawn from
AT_ONCE = 8  # steps before the clock is looked at


class DeviceMuon:
    """`training.loop.muon.Muon` with rate and count as tensors, so that a graph can hold it;
    matrices of one shape are turned together."""

    def __init__(self, parameters: list[Tensor], rate: Tensor) -> None:
        self.rate, self.count = rate, torch.zeros_like(rate)
        self.places: dict[tuple[int, int], list[int]] = {}
        for place, one in enumerate(parameters):
            if one.ndim > 1:
                self.places.setdefault((len(one), one[0].numel()), []).append(place)
        self.parameters = parameters
        self.means = {
            shape: rate.new_zeros(len(places), *shape) for shape, places in self.places.items()
        }
        self.vectors = [place for place, one in enumerate(parameters) if one.ndim <= 1]
        self.moments = [[torch.zeros_like(parameters[p]) for p in self.vectors] for _ in range(2)]

    def step(self, gradients: list[Tensor]) -> None:
        self.count += 1
        for shape, places in self.places.items():
            gradient = torch.stack([gradients[p].reshape(shape) for p in places])
            mean = self.means[shape].lerp_(gradient, 1 - MOMENTUM)
            change = orthogonalised(torch.lerp(gradient, mean, MOMENTUM))
            change = change * (self.rate * (-SHARE * max(shape) ** 0.5))
            group = [self.parameters[p] for p in places]
            parts = [c.reshape(p.shape) for c, p in zip(change.unbind(0), group, strict=True)]
            torch._foreach_add_(group, parts)
        for place, mean, power in zip(self.vectors, *self.moments, strict=True):
            gradient = gradients[place]
            mean.lerp_(gradient, 1 - BETAS[0])
            power.lerp_(gradient.square(), 1 - BETAS[1])
            root = (power / (1 - BETAS[1] ** self.count)).sqrt() + 1e-8
            change = mean / (1 - BETAS[0] ** self.count) / root
            self.parameters[place].sub_(ADAM_RATE * self.rate * change)

    def state(self) -> list[Tensor]:
        return [*self.means.values(), *self.moments[0], *self.moments[1], self.count]


def widened(small: F2RNetworks, header: Header) -> tuple[F2RNetworks, dict[str, Any]]:
    """Networks of size base with the same coarse network that compute the same: their further
    channels begin at random, and reach the others with weight 0. Their config beside them."""
    config = {**SIZES["base"], "coarse": header.config["coarse"]}
    wide = F2RNetworks(header.channels, config)
    few, many = header.config["refiner"]["embed"], config["refiner"]["embed"]
    known = dict(small.named_parameters())
    with torch.no_grad():
        for name, new in wide.named_parameters():
            old = known[name]
            if old.ndim == 1:
                new.zero_()[: len(old)] = old
                continue
            outputs, inputs = old.shape[:2]
            columns = list(range(inputs))
            if name == "refiner.unet.head.weight":  # two embeddings lie behind the pictures
                ahead = inputs - 2 * few
                columns = [*range(ahead + few), *range(ahead + many, ahead + many + few)]
            new[:outputs] = 0
            new[:outputs, columns] = old
    return wide, config


class Run:
    """One size's training."""

    def __init__(self, size: str, networks: F2RNetworks, ring: Ring, device: torch.device) -> None:
        self.size, self.ring, self.device = size, ring, device
        networks.to(device, memory_format=torch.channels_last)
        self.stage = FusionStage(networks.anchor, networks.refiner, [], BATCH)
        named = dict(self.stage.network.named_parameters())
        self.names, self.parameters = list(named), list(named.values())
        self.average = [p.detach().clone() for p in self.parameters]
        self.rate, self.loss = torch.zeros((), device=device), torch.zeros((), device=device)
        self.muon = DeviceMuon(self.parameters, self.rate)
        first = draw_plan(np.random.default_rng(0), BATCH, ring.filled)
        self.plan = torch.from_numpy(first).to(device)
        self.steps, self.seconds, self.ready = 0, 0.0, False
        self.graph: torch.cuda.CUDAGraph | None = None

    def record(self) -> None:
        """Make a graph of a step. What it does on the way is undone."""
        kept = [p.detach().clone() for p in self.parameters]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.update()
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.update()
        with torch.no_grad():
            for side_ in (self.parameters, self.average):
                torch._foreach_copy_(side_, kept)
            for state in (*self.muon.state(), self.loss):
                state.zero_()

    def update(self) -> None:
        """One step on the crops of `plan`; one without a finite gradient is left out."""
        batch = gathered(self.ring, self.plan)
        with self.lowered():
            loss = self.stage.loss(batch)
        gradients = torch.autograd.grad(loss, self.parameters)
        with torch.no_grad():
            norm = torch.stack(torch._foreach_norm(gradients)).norm()
            fine = torch.isfinite(norm) & torch.isfinite(loss)
            scale = torch.where(fine, 1 / norm.clamp_min(1), torch.zeros_like(norm))
            self.muon.step([torch.nan_to_num(g * scale, 0.0, 0.0, 0.0) for g in gradients])
            torch._foreach_lerp_(self.average, self.parameters, 1 - AVERAGED)
            self.loss += torch.where(fine, loss.detach().float(), torch.zeros_like(self.loss))

    def lowered(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False)

    def go_on(self, rng: np.random.Generator, progress: float) -> None:
        """Some steps; progress, 0..1, sets the rate."""
        begun = time.monotonic()
        for _ in range(AT_ONCE):
            warm = min(1.0, (self.steps + 1) / WARMUP)
            wave = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
            self.rate.fill_(RATES[self.size] * warm * wave)
            self.plan.copy_(torch.from_numpy(draw_plan(rng, BATCH, self.ring.filled)))
            if self.graph is None:
                self.update()
            else:
                self.graph.replay()
            self.steps += 1
        torch.cuda.synchronize()
        self.seconds += time.monotonic() - begun

    @torch.no_grad()
    def validate(self, held: Ring) -> float:
        """The averaged weights' loss on crops of held-out clips, always the same."""
        own = [p.clone() for p in self.parameters]
        torch._foreach_copy_(self.parameters, self.average)
        rng, losses = np.random.default_rng(5), []
        for _ in range(ROUNDS_HELD):
            plan = torch.from_numpy(draw_plan(rng, BATCH, held.filled)).to(self.device)
            batch = gathered(held, plan)
            with self.lowered():
                losses.append(float(self.stage.loss(batch)))
        torch._foreach_copy_(self.parameters, own)
        return float(np.mean(losses))

    def save(self, path: Path, header: Header, coarse: nn.Module) -> None:
        tensors = {f"coarse.{name}": one.cpu() for name, one in coarse.state_dict().items()}
        averaged = (one.detach().cpu() for one in self.average)
        weights.save(path, header, tensors | dict(zip(self.names, averaged, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=list(STARTS))
    parser.add_argument("clips", type=Path, help="the folder that clips.py writes to")
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=14.0)
    parser.add_argument("--ring", type=int, default=900, help="clips on the GPU, 24 MB each")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    begun, stop, device = time.monotonic(), Event(), torch.device("cuda")
    torch.backends.cudnn.benchmark = True
    ring, held = Ring(arguments.ring, device), Ring(HELD_OUT, device)
    folders = arguments.clips / arguments.kind, arguments.clips / f"{arguments.kind}_held"
    for one, folder, most in zip((ring, held), folders, (None, HELD_OUT), strict=True):
        Thread(target=one.follow, args=(folder, stop, most), daemon=True).start()
    while ring.filled < 40 or held.filled < HELD_OUT:
        time.sleep(0.5)

    start = weights.load(STARTS[arguments.kind])
    header = start.header
    small = start.network(lambda: F2RNetworks(header.channels, header.config))
    torch.manual_seed(3)
    small.train().requires_grad_(True)
    wide, config = widened(small, header)
    headers = {"small": header, "base": replace(header, size="base", config=config)}
    runs = {
        size: Run(size, networks, ring, device) for size, networks in
        (("small", small), ("base", wide))
    }  # fmt: skip

    def tell(run: Run) -> None:
        loss, found = float(run.loss) / max(run.steps, 1), run.validate(held)
        print(f"{run.size}: step {run.steps}, mean loss {loss:.4f}, held out {found:.4f}, "
              f"{ring.total} clips", flush=True)  # fmt: skip
        coarse = small.coarse if run.size == "small" else wide.coarse
        path = arguments.out / f"{arguments.kind}_{run.size}.safetensors"
        run.save(path, headers[run.size], coarse)

    for run in runs.values():
        run.record()
        tell(run)
    rng = np.random.default_rng(ord({"heavy": "H", "light": "L"}[arguments.kind]))
    first = told = time.monotonic()
    whole = 60 * arguments.minutes - (first - begun)
    while (spent := time.monotonic() - first) < whole:
        early, late = runs["small"], runs["base"]
        if not early.ready and spent >= SMALL_END * whole:
            early.ready = True
            tell(early)
        both = early.seconds + late.seconds
        turn = early if not early.ready and early.seconds <= SMALL_SHARE * both else late
        turn.go_on(rng, spent / (whole * (SMALL_END if turn is early else 1)))
        if time.monotonic() - told > 60:
            told = time.monotonic()
            for run in runs.values():
                if not run.ready:
                    tell(run)
    tell(runs["base"])
    stop.set()


if __name__ == "__main__":
    main()
