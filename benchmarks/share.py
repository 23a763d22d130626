"""How much noise the estimate reads beside today's rules, on cases whose noise is known.

    python benchmarks/share.py CLIPS [--groups sigma walls sheets gratings] [--weights FILE]
        [--today FILE.json] [--alone] [--draws 60] [--table]

CLIPS is a folder of clean clips (for the cases of sigma.py). Every case is a few frames of a file;
both columns are 8-bit codes: sigma of R, G and B for sigma.py's cases as there, of luma for the
others. Printed for every group: how many are within the stated error, the mean error of those with
noise (of the logarithm, in per cent) and what is read where there is none. --today keeps what
today's rules say in a file, which takes a few minutes; --table prints every case.
"""

import argparse
import json
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import cv2
import gratings
import numpy as np
import sheets
import sigma
import torch
import walls
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from f2rcli import yuv
from f2rcli.engine.cuts import same_shot, thumbnail
from f2rcli.engine.noise.opening import opening_noise
from f2rcli.engine.stream import Engine, EngineSettings, load_engine
from f2rcli.frames import ClipInfo, Family, Frame, PlaneLayout, same_samples
from f2rcli.models.flow import DISFlow
from f2rcli.noise import estimate as door
from f2rcli.noise.estimate import NoiseMap, estimate
from f2rcli.noise.planes import picture_of

PREROLL, CENTRES = 6, 2
STATED = 0.05  # least relative error that is stated, beside twice what the network expects
ROUNDING = 1 / 12


class Case(NamedTuple):
    group: str
    name: str
    frames: list[Frame]
    truth: float  # 8-bit codes
    mixed: bool  # of R, G and B; False: of luma


def cases(clips: Path, groups: list[str], draws: int) -> Iterator[Case]:
    if "sigma" in groups:
        for one in sigma.cases(clips, 160, 7):
            yield Case("sigma", one.name, sigma.frames_of(one), sigma.truth_of(one), True)
    for noise in (0, 3):
        if "walls" in groups:
            for draw in range(draws):
                wall = walls.WALLS[draw % len(walls.WALLS)]
                motion = walls.MOTIONS[draw // len(walls.WALLS) % len(walls.MOTIONS)]
                rng = np.random.default_rng((0, draw))
                shown = walls.filmed(wall, motion, noise, rng)
                yield made(f"walls {noise}", f"{wall.__name__} {motion}", shown, noise)
        if "sheets" in groups:
            for name in sheets.SHEETS:
                for motion in sheets.MOTIONS:
                    shown = sheets.filmed(sheets.drawn(name), motion, 7)
                    yield made(
                        f"sheets {noise}", f"{name} {motion}", with_noise(shown, noise), noise
                    )
        if "gratings" in groups:
            for name, draw_one in gratings.PATTERNS.items():
                shown = [gratings.filmed(draw_one(time)) for time in range(7)]
                yield made(f"gratings {noise}", name, with_noise(shown, noise), noise)


def with_noise(shown: list[list[np.ndarray]], noise: float) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(1)
    return [[plane + rng.normal(0, noise, plane.shape) for plane in one] for one in shown]


def made(group: str, name: str, shown: list[list[np.ndarray]], noise: float) -> Case:
    frames = [
        Frame(
            planes=tuple(np.clip(np.rint(p), 1, 254).astype(np.uint8) for p in planes),
            layout=sigma.YUV, pts=index,
        )
        for index, planes in enumerate(shown)
    ]  # fmt: skip
    return Case(group, name, frames, (noise**2 + ROUNDING) ** 0.5 if noise else 0.0, False)


def opening(frames: list[Frame]) -> list[Frame]:
    """The first frames, no two alike in a row."""
    kept = frames[:1]
    kept += [b for a, b in pairwise(frames) if not same_samples(a, b)]
    return kept[:PREROLL]


def read(case: Case) -> tuple[float, float]:
    """Sigma by the estimate, and its stated error in per cent."""
    frames = opening(case.frames)
    if len(frames) < 2:
        return 0.0, 0.0  # a still: all that there is stays the same
    pictures = [picture_of(frame) for frame in frames]
    looks = [thumbnail(picture.luma) for picture in pictures]
    together = [same_shot(a, b) for a, b in pairwise(looks)]
    inner = [i for i in range(1, len(pictures) - 1) if together[i - 1] and together[i]]
    chosen = [inner[len(inner) // 4], inner[-1 - len(inner) // 4]] if inner else []
    maps = []
    for centre in sorted(set(chosen)):
        others = [pictures[centre - 1], pictures[centre + 1]]
        flows = [DISFlow()(pictures[centre].luma, other.luma) for other in others]
        maps.append(estimate([pictures[centre], *others], flows))
    if not maps:
        flow = DISFlow()(pictures[0].luma, pictures[1].luma)
        maps = [estimate(pictures[:2], [flow])]
    return told(NoiseMap.joined(maps), frames[0].layout, mixed=case.mixed)


def told(found: NoiseMap, layout: PlaneLayout, *, mixed: bool) -> tuple[float, float]:
    planes = found.planes if mixed else found.planes[:1]
    luma_only = layout.family is Family.YUV
    laws = [
        p.law(clipped=layout.full_range and not (luma_only and i)) for i, p in enumerate(planes)
    ]
    unsure = max(plane.unsure for plane in planes)
    levels = np.array([255 * law.sigma[0] for law in laws])
    if mixed and luma_only:
        levels *= np.array([219, 224, 224]) / 255  # codes
        weights = np.square(yuv.matrix_to_rgb(layout).astype(float))
        weights[:, 1:] *= yuv.stretching_gain(layout) * (219 / 224) ** 2
        levels = np.sqrt(weights @ levels**2) * 255 / 219
    elif luma_only:
        levels *= 219 / 255
    return float(levels.mean()), 100 * float(np.hypot(STATED, 2 * unsure))


def by_rules(case: Case, engines: dict[PlaneLayout, Engine]) -> tuple[float, float]:
    """Sigma and stated error of today's rules."""
    first = case.frames[0]
    info = ClipInfo(
        name=case.name, width=first.width, height=first.height, layout=first.layout,
        frames=len(case.frames), duration=None, rate=Fraction(25), time_base=Fraction(1, 25),
    )  # fmt: skip
    if first.layout not in engines:
        engines[first.layout] = load_engine(EngineSettings(threads=1, device="cpu"), info)
    if not case.mixed:
        found = opening_noise(opening(case.frames), engines[first.layout])
        return 219 * found.planes.models[0].sigma[0], 0.0
    from f2rcli.engine.noise.measurement import measure_noise

    report = measure_noise(case.frames, info, engines[first.layout], 2)
    if report is None:
        return float("nan"), 0.0
    return float(np.mean(report.model.sigma8)), report.confidence.percent


HEADS = "within", "error %", "none: mean, worst"


def within(truth: float, found: float, percent: float) -> bool:
    return abs(found - truth) <= max(percent / 100 * found, sigma.FLOOR)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("--groups", nargs="+", default=["sigma", "walls", "sheets", "gratings"])
    parser.add_argument("--weights", type=Path, help="of a network to try instead of the bundled")
    parser.add_argument("--today", type=Path, help="file that keeps what today's rules say")
    parser.add_argument("--draws", type=int, default=60, help="of walls")
    parser.add_argument("--alone", action="store_true", help="without what rules say anew")
    parser.add_argument("--table", action="store_true", help="print every case")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    if given.weights is not None:
        net = door.Share(door.LOOKS)
        net.load_state_dict(load_file(given.weights))
        door.network = lambda: net.eval()
    kept = json.loads(given.today.read_text()) if given.today and given.today.exists() else {}
    engines: dict[PlaneLayout, Engine] = {}
    rows = defaultdict(list)
    for number, case in enumerate(cases(given.clips, given.groups, given.draws)):
        key = f"{case.group} | {case.name} | {len(rows[case.group])}"
        if key not in kept:
            kept[key] = (float("nan"), 0.0) if given.alone else by_rules(case, engines)
            if given.today and not given.alone and number % 20 == 0:
                given.today.write_text(json.dumps(kept))
        today, found = kept[key], read(case)
        rows[case.group].append((case.truth, *today, *found))
        if given.table:
            bad = "" if within(case.truth, *found) else "**"
            shown = f"{today[0]:.2f} | {bad}{found[0]:.2f}{bad} | {found[1]:.0f}"
            print(f"| {case.group} | {case.name} | {case.truth:.2f} | {shown} |", flush=True)
    if given.today and not given.alone:
        given.today.write_text(json.dumps(kept))
    summary(rows)


def summary(rows: dict[str, list[tuple[float, ...]]]) -> None:
    heads = ["group", "cases"]
    heads += [f"{what}, {who}" for what in HEADS for who in ("rules", "share")]
    print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for group, every in rows.items():
        table = np.nan_to_num(np.array(every), nan=0.0)
        truth = table[:, 0]
        cells = []
        for sigmas, percents in ((table[:, 1], table[:, 2]), (table[:, 3], table[:, 4])):
            held = sum(within(*one) for one in zip(truth, sigmas, percents, strict=True))
            noisy = truth > 0.4
            off = (
                np.abs(np.log(np.maximum(sigmas, 0.05)[noisy] / truth[noisy])).mean()
                if noisy.any()
                else 0
            )
            none = sigmas[truth == 0] if (truth == 0).any() else np.zeros(1)
            cells.append((str(held), f"{100 * off:.1f}", f"{none.mean():.2f}, {none.max():.2f}"))
        mixed = " | ".join(f"{a} | {b}" for a, b in zip(*cells, strict=True))
        print(f"| {group} | {len(every)} | {mixed} |")


if __name__ == "__main__":
    main()
