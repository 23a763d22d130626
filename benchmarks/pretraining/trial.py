"""Trials of networks on packed planes: what they reach, and what a frame of them costs.

    python benchmarks/pretraining/trial.py quality WEIGHTS... [--of CLIPS] [--kinds g30 g10]
    python benchmarks/pretraining/trial.py time lite full [--as-owned]

`quality` runs networks with the engine's flows and memory over the first frames of clips, told the
truth about the noise, as today's networks are beside them; PSNR over all samples of the file's
planes. WEIGHTS are files of `train.py export`, or sizes or JSON files of shapes, for what those
begin from. `time` gives CPU milliseconds of a steady 640x360 frame on one thread, FFmpeg's nlmeans
in the same run; --as-owned: by the instructions of most people's processors (AVX2, no bfloat16).
"""

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

if "--as-owned" in sys.argv:
    os.environ |= {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
os.environ.setdefault("OMP_NUM_THREADS", "1")
import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from excerpts import (
    Teachers,
    fitted,
    layout_of_sample,
    noisy_of,
    packed_planes,
    packed_rgb,
    rgb_of,
    told_maps,
)
from material import Sample, decoded
from safetensors import safe_open
from speed import nlmeans
from start import begun
from torch.utils.flop_counter import FlopCounterMode

from f2rcli.methods.base import Prepared
from f2rcli.methods.flows import FlowBook
from f2rcli.methods.rgb_f2r.memory import Memory
from f2rcli.models.layers import channels_last
from f2rcli.models.placing import placed, warped
from f2rcli.models.planar import Neighbours, Networks
from f2rcli.planes import Layout, spread
from f2rcli.window import window_at

LENGTH = 5  # frames of a window
MAPS = Layout("map", ((1, 1),))
CLIPS = Path(__file__).resolve().parents[3] / "shared" / "data" / "video" / "test"


def loaded(name: str) -> Networks:
    """Networks of a file, or as a size of them begins."""
    if not name.endswith(".safetensors"):
        networks = begun(name)
    else:
        with safe_open(name, "pt") as file:
            networks = Networks(json.loads(file.metadata()["shape"]))
            state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
        networks.load_state_dict(state)
    channels_last(networks)
    return networks.eval()


class OnPlanes:
    """Networks with today's flows and memory around them, frame after frame of one clip; `spent`
    counts CPU seconds by step."""

    def __init__(
        self, networks: Networks, layout: Layout, precision: str, length: int = LENGTH
    ) -> None:
        self.networks, self.layout, self.precision = networks, layout, precision
        self.length = length
        self.flows = FlowBook()
        self.spent: dict[str, list[float]] = defaultdict(list)

    def timed(self, name: str, make: Callable[..., Any], *parts: Any) -> Any:
        begun_at = time.process_time()
        made = make(*parts)
        self.spent[name].append(time.process_time() - begun_at)
        return made

    def whole(self, packed: Tensor) -> Tensor:
        """Packed planes (C, h, w) as pictures (1, P, H, W): small planes are repeated."""
        planes = spread(self.layout, packed)
        size = 2 * packed.shape[-2], 2 * packed.shape[-1]
        grown = [functional.interpolate(one[None, None], size)[0, 0] for one in planes]
        return torch.stack(grown)[None]

    def packed(self, pictures: Tensor) -> Tensor:
        """The inverse, by means."""
        parts = []
        for plane, (rows, columns) in enumerate(self.layout.planes):
            one = functional.avg_pool2d(pictures[:, plane : plane + 1], (2 // rows, 2 // columns))
            cells = one.unflatten(-1, (-1, columns)).unflatten(-3, (-1, rows))
            parts.append(cells[0, 0].permute(1, 3, 0, 2).flatten(0, 1))
        return torch.cat(parts)

    def restored(self, noisy: Tensor, told: Tensor) -> list[Tensor]:
        """noisy (T, C, h, w), told (T, 2 P, h, w) -> every frame refined."""
        enabled = self.precision == "bf16"
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            coarse, frames = [], []
            for index, (one, maps) in enumerate(zip(noisy, told, strict=True)):
                given = self.layout, one[None], maps[None]
                coarse.append(self.timed("coarse", self.networks.coarse, *given))
                look = self.timed("look", self._look, coarse[-1].picture)
                picture, shown = coarse[-1].picture, self.flows.look(look)
                frames.append(Prepared(index, one[None], picture, look, shown))
            memory, refined = None, []
            for centre in range(len(frames)):
                window = window_at(frames, centre, self.length)
                rated = self.timed("flow", lambda w: list(self.flows.rated(w)), window)
                oldest = window.before[0].index if window.before else -1
                while oldest >= 0 and (memory is None or memory.index < oldest):
                    memory = self.timed("memory", self._carried, memory, frames, told)
                seen = self.timed("place", self._placed, window, rated, memory)
                maps, mine = told[centre, None], coarse[centre]
                anchor = self.timed("anchor", self.networks.anchor, self.layout, seen, maps)
                parts = self.layout, noisy[centre, None], maps, mine, anchor, seen
                refined.append(self.timed("refiner", self.networks.refiner, *parts)[0])
        return refined

    def _look(self, picture: Tensor) -> Any:
        luma = spread(self.layout, picture[0].float())[0]
        scale = 3**-0.5 if self.layout.rotated else 1.0
        return (luma * scale).numpy()

    def _carried(self, memory: Memory | None, frames: Sequence[Prepared], told: Tensor) -> Memory:
        """The memory one frame further."""
        index = 0 if memory is None else memory.index + 1
        noisy, coarse = (self.whole(p[0]) for p in (frames[index].noisy, frames[index].coarse))
        flow = self.flows.known(index, index - 1)
        if memory is None or flow is None:
            return Memory.of(index, noisy, coarse)
        planes = len(self.layout.planes)
        level = told[index].square().unflatten(0, (2, planes)).sum(0).sqrt()
        level = functional.interpolate(level[None], noisy.shape[-2:])
        return memory.carried(index, noisy, coarse, self.flows.whole(flow, noisy.shape), level)

    def _placed(self, window: Any, rated: Any, memory: Memory | None) -> Neighbours:
        noisy, coarse, agreement, worth = [], [], [], []
        for one, (flow, agree) in zip(window.neighbours, rated, strict=True):
            pair, count = [one.noisy[0], one.coarse[0]], torch.ones(1, *agree.shape)
            if memory is not None and memory.index == one.index and one.index < window.centre.index:
                pair = [self.packed(memory.noisy), self.packed(memory.coarse)]
                count = warped(MAPS, [functional.avg_pool2d(memory.count[0], 2)], flow)[0]
            moved = warped(self.layout, pair, flow)
            noisy.append(moved[0])
            coarse.append(moved[1])
            agreement.append(torch.from_numpy(np.ascontiguousarray(agree))[None])
            worth.append(count)
        parts = [torch.stack(one)[None] for one in (noisy, coarse, agreement, worth)]
        return placed(*parts, window.centre.coarse)  # type: ignore[arg-type]  # four of them


def todays(sample: Sample, teachers: Teachers) -> list[Tensor]:
    """What today's networks make of a clip, packed."""
    layout = layout_of_sample(sample)
    noisy, clean = rgb_of(sample.noisy, sample), rgb_of(sample.clean, sample)
    model = fitted(noisy, clean)
    method = teachers.of(sample, max(model.sigma))
    method.forget()
    with torch.inference_mode():
        frames = [
            method.prepare(i, torch.from_numpy(np.ascontiguousarray(one)[None]), model)
            for i, one in enumerate(noisy)
        ]
        shown = []
        for centre in range(len(frames)):
            done = method.restore(window_at(frames, centre, method.length), model).refined
            shown.append(torch.from_numpy(packed_rgb(done[0].numpy(), sample, layout)))
    return shown


def quality(given: argparse.Namespace) -> None:
    """A line per clip, kind and layout."""
    networks = {name: loaded(name) for name in given.weights}
    teachers = Teachers.load() if not given.alone else None
    heads = [Path(name).stem for name in networks]
    print("| clip | noise | planes | noisy |", " | ".join(["today's"][given.alone :] + heads), "|")
    sums: dict[str, list[float]] = defaultdict(list)
    for path in sorted(given.of.glob("*.mkv")):
        if given.clips and path.stem not in given.clips:
            continue
        film = decoded(path)[: given.frames]
        height, width = (side // 16 * 16 for side in film.shape[1:3])
        clean = film[:, :height, :width].astype(np.float32) / 255
        for kind in given.kinds:
            for name in given.layouts:
                sample = noisy_of(clean, kind, name, np.random.default_rng(0))
                layout = layout_of_sample(sample)
                noisy = torch.from_numpy(packed_planes(sample.noisy, layout))
                truth = torch.from_numpy(packed_planes(sample.clean, layout))
                told = torch.from_numpy(told_maps(sample, layout))
                found = {"noisy": list(noisy)}
                if teachers:
                    found["today's"] = todays(sample, teachers)
                for one, nets in networks.items():
                    run = OnPlanes(nets, layout, given.precision, given.length)
                    found[one] = run.restored(noisy, told)
                row = [psnr(one, truth) for one in found.values()]
                for label, value in zip(found, row, strict=True):
                    sums[f"{kind} {name} {label}"].append(value)
                cells = " | ".join(f"{value:.2f}" for value in row)
                print(f"| {path.stem} | {kind} | {name} | {cells} |", flush=True)
    for label, values in sums.items():
        print(f"mean of {len(values)}: {label} {np.mean(values):.2f}")


def psnr(frames: Sequence[Tensor], truth: Tensor) -> float:
    """Mean over frames, all samples of the planes."""
    errors = [(a - b).square().mean() for a, b in zip(frames, truth, strict=True)]
    return float(np.mean([-10 * np.log10(float(error)) for error in errors]))


def timing(given: argparse.Namespace) -> None:
    """A line per size and layout."""
    film = decoded(CLIPS / "sam2_coffee.mkv")[:12]
    clean = film.astype(np.float32)[:, : film.shape[1] // 16 * 16] / 255
    clean = np.stack([cv2.resize(one, (640, 360)) for one in clean])
    print(f"nlmeans, 4:4:4: {1000 * nlmeans(CLIPS / 'sam2_coffee.mkv', 8):.0f} ms a frame")
    steps = "coarse", "anchor", "refiner", "place", "flow", "look", "memory"
    print("| networks | planes | GMAC/Mpx |", " | ".join(steps), "| networks | all |")
    for name in given.weights:
        networks = loaded(name)
        for layout_name in given.layouts:
            sample = noisy_of(clean, "g20", layout_name, np.random.default_rng(0))
            layout = layout_of_sample(sample)
            noisy = torch.from_numpy(packed_planes(sample.noisy, layout))
            told = torch.from_numpy(told_maps(sample, layout))
            OnPlanes(networks, layout, given.precision, given.length).restored(noisy[:6], told[:6])
            run = OnPlanes(networks, layout, given.precision, given.length)
            run.restored(noisy, told)
            each = {step: 1000 * float(np.median(run.spent[step])) for step in steps}
            nets = sum(each[step] for step in steps[:3])
            cells = " | ".join(f"{each[step]:.0f}" for step in steps)
            cost = arithmetic(networks, layout, given.length - 1)
            print(f"| {name} | {layout.name} | {cost:.1f} | {cells} | {nets:.0f} | "
                  f"{sum(each.values()):.0f} |", flush=True)  # fmt: skip


def arithmetic(networks: Networks, layout: Layout, neighbours: int) -> float:
    """Billions of multiplications per megapixel, all three networks."""
    side, channels, maps = 64, layout.channels, 2 * len(layout.planes)
    noisy, told = torch.rand(1, channels, side, side), torch.rand(1, maps, side, side)
    pictures, ones = (
        torch.rand(1, neighbours, channels, side, side),
        torch.ones(1, neighbours, 1, side, side),
    )
    seen = Neighbours(pictures, pictures, ones, ones)
    with FlopCounterMode(display=False) as counter:
        coarse = networks.coarse(layout, noisy, told)
        anchor = networks.anchor(layout, seen, told)
        networks.refiner(layout, noisy, told, coarse, anchor, seen)
    return float(counter.get_total_flops() / 2 / (2 * side) ** 2 / 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["quality", "time"])
    parser.add_argument("weights", nargs="+")
    parser.add_argument("--of", type=Path, default=CLIPS, help="folder of clean clips")
    parser.add_argument("--clips", nargs="*", help="names of clips there; default: all")
    parser.add_argument("--kinds", nargs="+", default=["g30", "g10"])
    parser.add_argument("--layouts", nargs="+", default=["rgb", "420"])
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--length", type=int, default=LENGTH, help="frames of a window")
    parser.add_argument("--alone", action="store_true", help="without today's networks")
    parser.add_argument("--as-owned", action="store_true")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    {"quality": quality, "time": timing}[given.what](given)


if __name__ == "__main__":
    main()
