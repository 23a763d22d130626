"""Pictures whose noise is not the same everywhere: what f2r does to each part of them.

    python benchmarks/parts.py [CLIPS] [--only inset split ...] [--size 320x192] [--frames 10]
        [--no-reference] [--work DIR]

Every clip is put together from parts whose truth and noise are known: a noisy inset in a clean
screen, titles over film, two cameras side by side, and so on. It is written as lossless 8-bit
Y'CbCr 4:2:0, goes through `f2r denoise --lossless`, and each part is compared with its truth: the
error of what went in and of what came out (RMS of 8-bit codes, luma / chroma), fine detail of luma
that is kept, and the error that the same place has where its noise is that of the whole picture.
Harm is an output further from the truth than the input, in any plane of any part.

CLIPS is a folder of clean clips (.mkv), halved; without it scenes are made. About five minutes of
one core, half as long without the reference. Prints a Markdown table. --work keeps what went in
and came out.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # clips are made by the tests' makers

from f2rcli.cli.app import run  # found by the path above
from tests.fidelity import footage
from tests.fidelity.cases import detail
from tests.fidelity.footage import NEUTRAL, Clip, Plane

Bools = NDArray[np.bool_]

HARM = 0.1  # codes of RMS: less is rounding


class Made(NamedTuple):
    """A clip made of parts."""

    truth: Clip
    sigma: Plane  # (H, W) or (T, H, W), of the noise in codes
    parts: dict[str, Bools]  # (H, W) or (T, H, W)


class Scenes(NamedTuple):
    """What clips are made of."""

    height: int
    width: int
    frames: int
    film: Clip
    other: Clip  # another scene

    def box(self, top: float, bottom: float, left: float, right: float) -> Bools:
        """A rectangle between shares of the picture, on even pixels."""
        chosen = np.zeros((self.height, self.width), bool)
        rows, columns = (
            slice(*(round(share * side / 2) * 2 for share in ends))
            for ends, side in (((top, bottom), self.height), ((left, right), self.width))
        )
        chosen[rows, columns] = True
        return chosen


def inset(scenes: Scenes) -> Made:
    """A noisy web camera in a corner of a clean screen, on which a bar moves."""
    there = scenes.box(0.55, 1, 0.6, 1)
    screen = footage.graphics(scenes.height, scenes.width, scenes.frames)
    return two(laid(screen, scenes.film, there), there, 8, 0, "camera", "screen")


def titles(scenes: Scenes) -> Made:
    """Credits that scroll over noisy film, 1.5 pixels a frame."""
    plates = [credit_lines(scenes, 1.5 * time) for time in range(scenes.frames)]
    drawn = [
        painted([planes], plate, (220, NEUTRAL, NEUTRAL))[0]
        for planes, plate in zip(scenes.film, plates, strict=True)
    ]
    return two(drawn, ~np.stack(plates), 10, 0, "film", "letters")


def split(scenes: Scenes) -> Made:
    """Two cameras side by side, sigma 4 and 20."""
    there = scenes.box(0, 1, 0.5, 1)
    return two(laid(scenes.film, scenes.other, there), there, 20, 4, "right", "left")


def half(scenes: Scenes) -> Made:
    """One half rendered, and clean; the other filmed."""
    there = scenes.box(0, 1, 0.5, 1)
    return two(laid(scenes.film, scenes.other, there), there, 10, 0, "filmed", "rendered")


def vignette(scenes: Scenes) -> Made:
    """A lens's dark corners made bright: noise grows from 1 to 2.5 times towards them."""
    rows, columns = np.ogrid[-1 : 1 : scenes.height * 1j, -1 : 1 : scenes.width * 1j]
    far = (rows**2 + columns**2) / 2
    sigma = 5 * (1 + 1.5 * far)
    return Made(scenes.film, sigma, {"middle": far < 0.15, "corners": far > 0.6})


def crossfade(scenes: Scenes) -> Made:
    """A noisy shot fades into a clean one."""
    shares = np.clip((np.arange(scenes.frames) / (scenes.frames - 1) - 0.2) / 0.6, 0, 1)
    truth = [
        [(1 - share) * a + share * b for a, b in zip(*pair, strict=True)]
        for share, *pair in zip(shares, scenes.film, scenes.other, strict=True)
    ]
    every = np.ones((scenes.frames, scenes.height, scenes.width))
    sigma = every * (10 * (1 - shares))[:, None, None]
    return Made(truth, sigma, {"before": sigma == 10, "fade": (sigma > 0) & (sigma < 10),
                               "after": sigma == 0})  # fmt: skip


def faces(scenes: Scenes) -> Made:
    """A phone took noise, and a little detail, out of two faces that move with the scene."""
    discs = []
    for time in range(scenes.frames):
        disc = np.zeros((scenes.height, scenes.width), np.uint8)
        for down, across in ((0.4, 0.3), (0.55, 0.65)):
            place = round(across * scenes.width + time), round(down * scenes.height)
            cv2.circle(disc, place, scenes.height // 5, 1, -1)
        discs.append(disc > 0)
    smooth = [[cv2.GaussianBlur(plane, (0, 0), 0.7) for plane in f] for f in scenes.film]
    truth = [laid([a], [b], d)[0] for a, b, d in zip(scenes.film, smooth, discs, strict=True)]
    return two(truth, ~np.stack(discs), 8, 0, "around", "faces")


KINDS: dict[str, Callable[[Scenes], Made]] = {
    kind.__name__: kind for kind in (inset, titles, split, half, vignette, crossfade, faces)
}


def two(truth: Clip, loud: Bools, much: float, little: float, name: str, other: str) -> Made:
    """Two parts: where noise is loud, and the rest."""
    return Made(truth, np.where(loud, much, little), {name: loud, other: ~loud})


def laid(below: Clip, above: Clip, where: Bools) -> Clip:
    """One clip where another one is not laid over it."""
    masks = where, where[::2, ::2], where[::2, ::2]
    return [
        [np.where(mask, b, a) for a, b, mask in zip(*pair, masks, strict=True)]
        for pair in zip(below, above, strict=True)
    ]


def painted(clip: Clip, where: Bools, colour: tuple[float, float, float]) -> Clip:
    """A clip painted over; chroma of a pixel that is painted in part is mixed."""
    share = where.astype(float)
    small = cv2.resize(share, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return [
        [p + s * (c - p) for p, s, c in zip(f, (share, small, small), colour, strict=True)]
        for f in clip
    ]


WORDS = "Directed by", "A. Person", "Camera", "B. Someone", "Sound", "C. Anybody"


def credit_lines(scenes: Scenes, risen: float) -> Bools:
    """Letters that have risen by so many pixels; in fact a plate, moved to whole pixels."""
    plate = np.zeros((scenes.height, scenes.width), np.uint8)
    for number, words in enumerate(WORDS):
        place = round(0.3 * scenes.width), round(28 + 34 * number - risen)
        cv2.putText(plate, words, place, cv2.FONT_HERSHEY_DUPLEX, 0.55, 1, 1)
    return plate > 0


def whole_codes(clip: Clip) -> Clip:
    """A truth that a file can hold."""
    return [[np.clip(np.rint(plane), 1, 254) for plane in planes] for planes in clip]


def noisy(truth: Clip, sigma: Plane, seed: int = 1) -> Clip:
    """White Gaussian noise of sigma (H, W) or (T, H, W) in all planes."""
    rng = np.random.default_rng(seed)
    each = np.broadcast_to(sigma, (len(truth), *truth[0][0].shape))
    return [
        [p + level[:: 1 + bool(i), :: 1 + bool(i)] * rng.standard_normal(p.shape)
         for i, p in enumerate(planes)]
        for planes, level in zip(truth, each, strict=True)
    ]  # fmt: skip


def restored(clip: Clip, name: str, work: Path) -> tuple[Clip, Clip]:
    """A clip as a file holds it, and as f2r restores it."""
    source, target = footage.write(work / f"{name}.mkv", clip), work / f"{name}_out.mkv"
    arguments = ["denoise", str(source), "-o", str(target), "--lossless", "--overwrite", "--quiet"]
    if code := run([*arguments, "--threads", "1"]):
        raise SystemExit(f"f2r denoise {source}: exit code {code}")
    return footage.read(source), footage.read(target)


class Errors(NamedTuple):
    """Root mean squares in a part, codes."""

    luma: float
    chroma: float

    def __str__(self) -> str:
        return f"{self.luma:.2f} / {self.chroma:.2f}"


def errors(clip: Clip, truth: Clip, part: Bools) -> Errors:
    """How far a clip is from the truth in a part of it."""
    apart = [
        [np.square(a - t)[mask] for a, t, mask in zip(*pair, steps(where), strict=True)]
        for pair, where in zip(zip(clip, truth, strict=True), each_of(part, truth), strict=True)
    ]
    luma, *chroma = (np.concatenate(plane) for plane in zip(*apart, strict=True))
    return Errors(*(float(np.mean(p) ** 0.5) for p in (luma, np.concatenate(chroma))))


def steps(where: Bools) -> tuple[Bools, Bools, Bools]:
    """A part of every plane."""
    small = where[::2, ::2]
    return where, small, small


def each_of(part: Bools, clip: Clip) -> Iterator[Bools]:
    """A part of every frame."""
    return iter(np.broadcast_to(part, (len(clip), *clip[0][0].shape)))


def kept(clip: Clip, truth: Clip, part: Bools) -> float:
    """Fine detail of luma: a regression on the truth's own, see `detail`."""
    masked = [
        [[f[0] * where] for f, where in zip(one, each_of(part, one), strict=True)]
        for one in (clip, truth)
    ]
    return detail(*masked)


def rows(name: str, made: Made, work: Path, *, reference: bool) -> Iterator[tuple[str, bool]]:
    """A line of the table for every part, and whether f2r did harm there."""
    truth = whole_codes(made.truth)
    before, after = restored(noisy(truth, made.sigma), name, work)
    for part, where in made.parts.items():
        sigma = float(np.sqrt(np.square(np.broadcast_to(made.sigma, where.shape)[where]).mean()))
        given, left = (errors(one, truth, where) for one in (before, after))
        alone = ""
        if reference and sigma:
            alike = restored(noisy(truth, np.full(where.shape[-2:], sigma)), f"{name}_{part}", work)
            alone = str(errors(alike[1], truth, where))
        harm = any(a > b + HARM for a, b in zip(left, given, strict=True))
        shown = f"**{left}**" if harm else str(left)
        share = f"{kept(after, truth, where):.3f}"
        yield f"| {name} | {part} | {sigma:.1f} | {given} | {shown} | {share} | {alone} |", harm


def scenes_of(clips: Path | None, height: int, width: int, frames: int) -> Scenes:
    """Made leaves, or the first and the last of a folder's clips."""
    if clips is None:
        size = height, width, frames
        return Scenes(*size, footage.leaves(*size, 1), footage.leaves(*size, 2, sky=True))
    first, *_, last = footage.halved(clips, frames, height, width).values()
    return Scenes(height, width, frames, first, last)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path, nargs="?", help="folder of clean clips")
    parser.add_argument("--only", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--size", default="320x192")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--no-reference", action="store_true", help="no even noise beside")
    parser.add_argument("--work", type=Path, help="keep sources and results here")
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    scenes = scenes_of(given.clips, height, width, given.frames)
    work = given.work or Path(tempfile.mkdtemp(prefix="parts-"))
    work.mkdir(parents=True, exist_ok=True)
    print("| clip | part | sigma | error before | after | detail kept | with even noise |")
    print("|---|---|---|---|---|---|---|")
    harms = 0
    for name in given.only:
        made, reference = KINDS[name](scenes), not given.no_reference
        for line, harm in rows(name, made, work, reference=reference):
            print(line, flush=True)
            harms += harm
    print(f"\n{harms} parts harmed")
    return int(harms > 0)


if __name__ == "__main__":
    sys.exit(main())
