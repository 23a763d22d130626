"""Training material as one endless stream: clips and drawn scenes with noise in the file's planes.

CLIPS is a folder of clean clips. `Material(CLIPS, seed)[index]` is one sample, always the same for
the same seed and index, whatever was asked for before; nothing is kept on disk.

A scene (filmed: 45 clips reduced by areas, which takes their own noise away; or drawn) moves,
stands still, fades, flickers or is cut; it may be dark, or in a log or HDR curve; it is held by
planes of a file; noise is added there, before or after a codec, or by a small camera.
"""

import sys
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from camera import Camera
from degraded import (
    Planes,
    Rng,
    Stack,
    coded,
    draw_codec,
    draw_noise,
    in_codes,
    in_units,
    parted,
    places,
    spread_of,
)
from drawn import OVER_FILM, SCENES, Pictures, graphics, words
from sensor import CRVD_BLACK, CRVD_WHITE, Unprocessing, draw_raw_law, mosaicked, sense

from f2rcli import yuv
from f2rcli.frames import Family, Matrix, Mosaic, PlaneLayout
from f2rcli.noise.synthesis.law import to_codes

MOST_FRAMES = 40  # of a clip that are kept in memory
MOST_REDUCED = 2.6
DRAWN_SHARE, BARS_SHARE = 0.3, 0.05
CLEAN_SHARE = 0.12  # of samples without any noise
CODED = {"no": 0.62, "after": 0.24, "before": 0.14}  # where a codec comes, seen from the noise
LAYOUTS = {"420": 0.5, "420 10": 0.16, "422": 0.06, "422 10": 0.05, "444": 0.07, "rgb": 0.08,
           "gray": 0.05, "mosaic": 0.03}  # fmt: skip
CRVD = Mosaic(pattern="RGGB", black=(CRVD_BLACK,) * 4, white=(CRVD_WHITE,) * 4)


class Sample(NamedTuple):
    """A clip in its file's planes, in units of each: white - black, and for chroma the distance
    between its extremes. A mosaic counts as four planes of half the size, in the order of
    `f2rcli.yuv`. Every entry of a tuple is one plane (T, h, w) float32."""

    layout: PlaneLayout
    clean: tuple[Stack, ...]
    noisy: tuple[Stack, ...]  # what the file holds: whole codes
    noise: tuple[Stack, ...]  # standard deviation of the noise before the range clipped it
    coding: tuple[Stack, ...]  # standard deviation of the codec's errors
    bare: tuple[Stack, ...]  # what noise was added to: `clean`, unless a codec came before it
    scene: str
    kind: str
    small: Stack | None = None  # (T, H, W): by how much small things that fly differ from the scene
    calm: tuple[Stack, ...] = ()  # the codec's errors had there been no noise, if that was asked


@dataclass
class Material:
    """The stream. size: pixels a side (a multiple of 16); layouts: names of LAYOUTS, None: all, as
    likely as there; without: names of drawn scenes to leave out; least_reduced: by how much clips
    are reduced at least, and those too small for it left out; still: whether all shots stand; calm:
    whether scenes are coded without their noise, too; beside: share of samples with less or no
    noise in a part, half of which shows another clip."""

    clips: Path
    seed: int
    size: int = 128
    frames: int = 7
    layouts: Sequence[str] | None = None
    drawn_share: float = DRAWN_SHARE
    without: Sequence[str] = ()
    least_reduced: float = 1.0
    still: bool = False
    calm: bool = False
    beside: float = 0.0
    films: list[NDArray[np.uint8]] = field(init=False)

    def __post_init__(self) -> None:
        paths = sorted(self.clips.glob("*.mkv"))
        if not paths:
            raise SystemExit(f"{self.clips}: no .mkv files in it")
        films = [decoded(path) for path in paths]
        least = self.size * self.least_reduced
        self.films = [film for film in films if min(film.shape[1:3]) >= least] or films

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng((self.seed, index))
        name = self._layout_name(rng)
        layout = layout_of(name, rng)
        scene, pictures, loud = self._scene(rng)
        pictures = relit(pictures, rng)
        if rng.random() < BARS_SHARE:
            pictures, loud = letterboxed(pictures, loud, rng)
        if layout.mosaic is not None:
            return of_sensor(layout, scene, pictures, rng)
        clean = planes_of(pictures, layout)
        if rng.random() < 0.08 and layout.family is Family.YUV and layout.bits == 8:
            return of_camera(layout, scene, pictures, rng, calm=self.calm)
        return of_file(layout, scene, clean, loud, rng, calm=self.calm)

    def _layout_name(self, rng: Rng) -> str:
        names = list(self.layouts or LAYOUTS)
        shares = np.array([LAYOUTS[name] for name in names])
        return names[int(rng.choice(len(names), p=shares / shares.sum()))]

    def _scene(self, rng: Rng) -> tuple[str, Pictures, Stack | None]:
        """A scene's name, its pictures, and where it is noisy (None: everywhere)."""
        if self.beside and rng.random() < self.beside:
            film, loud = self.film(rng), places((self.frames, self.size, self.size), rng)
            here = (loud == loud.max())[..., None] | (rng.random() < 0.5)
            return "beside", np.where(here, film, self.film(rng)), loud
        names = [n for n in (*SCENES, *OVER_FILM, "composed") if n not in self.without]
        if rng.random() >= self.drawn_share or not names:
            return "film", self.film(rng), None
        name = names[rng.integers(len(names))]
        if name in SCENES:
            return name, SCENES[name](rng, self.frames, self.size), None
        film = self.film(rng)
        if name in OVER_FILM:
            return name, OVER_FILM[name](rng, self.frames, self.size, film), None
        return name, *composed(film, self.film(rng), rng)

    def film(self, rng: Rng) -> Pictures:
        """Filmed pictures in motion, at rest, cut or fading into another, with all their light."""
        shown = self._shot(rng)
        kind = rng.random()
        if kind < 0.07:
            other = self._shot(rng)
            place = int(rng.integers(1, self.frames))
            shown = np.concatenate([shown[:place], other[place:]])
        elif kind < 0.1:
            other = self._shot(rng)
            share = np.linspace(0, 1, self.frames, dtype=np.float32)[:, None, None, None]
            shown = shown + share * (other - shown)
        elif kind < 0.15:  # to black or from it, steadily
            shown = shown * faded(rng.uniform(0.85, 1.15) ** np.arange(self.frames))
        elif kind < 0.2:
            shown = shown * faded(1 + rng.normal(0, rng.uniform(0.003, 0.05), self.frames))
        elif kind < 0.22:  # of two exposures in turn
            shown = shown * faded(np.where(np.arange(self.frames) % 2, rng.uniform(0.4, 0.95), 1))
        return np.clip(shown, 0, 1)

    def _shot(self, rng: Rng) -> Pictures:
        film = self.films[rng.integers(len(self.films))]
        count, height, width, _ = film.shape
        most = min(height, width) / self.size
        least = min(max(self.least_reduced, 1.5 * (rng.random() < 0.6)), MOST_REDUCED)
        reduced = float(rng.uniform(least, max(min(most, MOST_REDUCED), least)))
        reduced = min(reduced, most)  # a clip smaller than a sample is enlarged
        pan = rng.random() < 0.12
        room = 8 if pan and most > reduced * (1 + 8 / self.size) else 0
        side = min(round((self.size + room) * reduced), height, width)
        top, left = (int(rng.integers(n - side + 1)) for n in (height, width))
        step, kind = int(rng.choice([1, 1, 1, 1, 2, 3])), rng.random()
        start = int(rng.integers(count))
        places = [bounced(start + step * t, count) for t in range(self.frames)]
        if self.still or kind < 0.14:
            places = [start] * self.frames
        elif kind < 0.5:
            places.reverse()
        cut = film[:, top : top + side, left : left + side]
        whole = self.size + room
        shown = {place: resized_to(cut[place], whole) for place in set(places)}
        stack = np.stack([shown[place] for place in places])
        if room:
            stack = drifting(stack, room, rng)
        if rng.random() < 0.5:
            stack = stack[:, :, ::-1]
        if rng.random() < 0.15:
            stack = recolour(stack, rng)
        return np.ascontiguousarray(stack)


def decoded(path: Path) -> NDArray[np.uint8]:
    """The first frames of a clip, (T, H, W, 3)."""
    shown: list[NDArray[Any]] = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            shown.append(frame.to_ndarray(format="rgb24"))
            if len(shown) == MOST_FRAMES:
                break
    return np.stack(shown)


def resized_to(picture: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Codes (H, W, 3) as 0..1 at another size, by areas: means of codes are finer than codes."""
    exact = picture.astype(np.float32) * np.float32(1 / 255)
    if exact.shape[0] == side:
        return exact
    return np.asarray(cv2.resize(exact, (side, side), interpolation=cv2.INTER_AREA), np.float32)


def bounced(place: int, count: int) -> int:
    """Of a frame in a clip that is played forwards and backwards for ever."""
    place %= max(2 * count - 2, 1)
    return place if place < count else 2 * count - 2 - place


def faded(gains: NDArray[np.float64]) -> NDArray[np.float32]:
    return gains.astype(np.float32)[:, None, None, None]


def drifting(pictures: Pictures, room: int, rng: Rng) -> Pictures:
    """Pictures on an unsteady tripod, without their room around."""
    side = pictures.shape[1] - room
    path = np.cumsum(rng.normal(0, rng.uniform(0.02, 0.7), (len(pictures), 2)), 0).clip(
        -room / 2, room / 2
    )
    shown = []
    for picture, (dx, dy) in zip(pictures, path - path[0], strict=True):
        move = np.float32([[1, 0, dx - room / 2], [0, 1, dy - room / 2]])
        shown.append(cv2.warpAffine(picture, move, (side, side), flags=cv2.INTER_CUBIC,
                                    borderMode=cv2.BORDER_REFLECT))  # fmt: skip
    return np.stack(shown)


def composed(film: Pictures, other: Pictures, rng: Rng) -> tuple[Pictures, Stack]:
    """A clean screen, letters or a second scene together with film, and where the film is."""
    count, size = film.shape[:2]
    page = graphics(rng, count, size)
    if rng.random() < 0.5:  # a page of text that scrolls, or credits
        plate = np.zeros((3 * size, size), np.float32)
        words(plate, rng, int(rng.integers(9, 22)), 1.0, rng.uniform(0.3, 0.55))
        speed = rng.uniform(0, 4)
        at = [round(size / 2 + speed * t) for t in range(count)]
        letters = np.stack([plate[y : y + size] for y in at])[..., None]
        paper, ink = rng.random((2, 3)).astype(np.float32)
        back = np.broadcast_to(paper, film.shape) if rng.random() < 0.5 else film
        page = back + letters * (ink - back)
        if back is film:
            return page, (letters[..., 0] == 0).astype(np.float32)
    elif rng.random() < 0.4:
        page = other
    where = np.zeros((size, size), np.float32)
    top, left = (int(v) // 2 * 2 for v in rng.integers(0, size // 2, 2))
    height, width = (int(v) // 2 * 2 for v in rng.integers(size // 3, size, 2))
    where[top : top + height, left : left + width] = 1
    if rng.random() < 0.5:
        where = 1 - where
    mask = where[None, ..., None]
    return page + mask * (film - page), where[None]


def relit(pictures: Pictures, rng: Rng) -> Pictures:
    """The scene as it is, darkened, grayed, or in a flat curve that keeps highlights (log, PQ)."""
    kind = rng.random()
    if kind < 0.15:
        pictures = pictures * np.float32(np.exp(rng.uniform(np.log(0.04), np.log(0.7))))
    elif kind < 0.21:
        power = np.float32(rng.uniform(0.35, 0.8))
        low, high = rng.uniform(0.0, 0.15), rng.uniform(0.5, 1.0)
        pictures = np.float32(low) + np.float32(high - low) * np.maximum(pictures, 0) ** power
    elif kind < 0.28:  # bright; beyond white, the file's range cuts it off together with its noise
        pictures = 1 - (1 - pictures) * np.float32(rng.uniform(0.3, 0.8))
        pictures = pictures * np.float32(rng.uniform(1, 1.35))
    if rng.random() < 0.06:
        pictures = np.repeat(pictures.mean(-1, keepdims=True), 3, -1)
    return pictures.astype(np.float32)


def recolour(picture: Pictures, rng: Rng) -> Pictures:
    """Swap channels and strengthen colours of (..., H, W, C), as far as the range goes.

    Camera footage alone teaches that strong, abrupt colour is noise, which graphics and stage
    light are not. Cut off at the ends of the range it would teach that strong colour lies there.
    """
    swapped = picture[..., rng.permutation(picture.shape[-1])]
    gray = swapped.mean(-1, keepdims=True)
    apart = swapped - gray
    room = np.where(apart > 0, 1 - gray, gray) / np.maximum(np.abs(apart), 1e-3)
    most = max(float(np.quantile(room[..., ::4, ::4, :], 0.02)), 1.0)
    strengthened = gray + np.float32(min(rng.uniform(1.0, 4.0), most)) * apart
    return np.clip(strengthened, 0, 1).astype(np.float32)


def letterboxed(pictures: Pictures, loud: Stack | None, rng: Rng) -> tuple[Pictures, Stack]:
    """Scenes between black bars without noise, above and below or on both sides."""
    size = pictures.shape[1]
    bar = int(rng.integers(size // 20, size // 3)) // 2 * 2
    inside = np.zeros((1, size, size), np.float32)
    inside[:, bar : size - bar] = 1
    if rng.random() < 0.3:
        inside = np.ascontiguousarray(inside.swapaxes(1, 2))
    return pictures * inside[..., None], inside if loud is None else inside * loud


def layout_of(name: str, rng: Rng) -> PlaneLayout:
    """The layout of a name of LAYOUTS; most video is limited-range BT.709."""
    if name == "rgb":
        return PlaneLayout(family=Family.RGB, bits=8)
    if name == "gray":
        return PlaneLayout(family=Family.GRAY, bits=8)
    if name == "mosaic":
        return PlaneLayout(family=Family.BAYER, bits=12, mosaic=CRVD)
    chroma = {"420": (1, 1), "422": (1, 0), "444": (0, 0)}[name[:3]]
    matrix = (Matrix.BT709, Matrix.BT601, Matrix.BT2020)[int(rng.choice(3, p=[0.6, 0.3, 0.1]))]
    siting = (0.0, 0.5) if chroma == (1, 1) else (0.0, 0.0)
    return PlaneLayout(
        family=Family.YUV, bits=10 if name.endswith("10") else 8, log2_chroma=chroma,
        full_range=bool(rng.random() < 0.12), matrix=matrix, siting=siting,
    )  # fmt: skip


def planes_of(pictures: Pictures, layout: PlaneLayout) -> Planes:
    """Pictures as planes of a file, not rounded."""
    channels = [np.ascontiguousarray(p.transpose(2, 0, 1)) for p in pictures]
    if layout.family is Family.YUV:
        channels = [yuv.parted(one, layout, averaged=True) for one in channels]  # type: ignore[misc]
    elif layout.family is Family.GRAY:
        weights = np.array([0.299, 0.587, 0.114], np.float32)
        channels = [np.tensordot(weights, one, 1)[None] for one in channels]
    return [np.stack(stack).astype(np.float32) for stack in zip(*channels, strict=True)]


def rounded(planes: Planes, layout: PlaneLayout) -> Planes:
    """What the file holds of planes."""
    colours = [layout.family is Family.YUV and i > 0 for i in range(len(planes))]
    return [
        in_units(in_codes(p, layout, chroma=c), layout, chroma=c)
        for p, c in zip(planes, colours, strict=True)
    ]


def limited(planes: Planes, layout: PlaneLayout) -> Planes:
    """Planes without what lies beyond the file's range."""
    limits = []
    for index in range(len(planes)):
        zero, span = yuv.code_span(layout, index)
        limits.append((-zero / span, (2**layout.bits - 1 - zero) / span))
    return [p.clip(*ends) for p, ends in zip(planes, limits, strict=True)]


def of_file(
    layout: PlaneLayout, scene: str, clean: Planes, loud: Stack | None, rng: Rng, *, calm: bool
) -> Sample:
    """Noise in a file's planes, before or after a codec, or none of either."""
    where = str(rng.choice(list(CODED), p=list(CODED.values())))
    nothing = [np.zeros_like(p) for p in clean]
    if rng.random() < CLEAN_SHARE + 0.25 * (scene != "film"):
        clean = rounded(clean, layout)
        kind, level, noisy = "none", nothing, clean
        where = "after" if where != "no" else "no"
    else:
        noise = draw_noise(clean, layout, loud, rng)
        kind, level = noise.kind, noise.level
        noisy = [c + n for c, n in zip(clean, noise.added, strict=True)]
        clean = limited(clean, layout)
    alone, errors, bare = [], nothing, clean
    if where == "after":
        given = rounded(noisy, layout)
        alone = unnoised(clean, layout, rng) if calm else alone
        found, name = through(given, layout, rng)
        level, errors = parted(given, clean, found, level)
        kind = f"{kind}, then {name}"
        noisy = found
    elif where == "before":
        found, name = through(rounded(clean, layout), layout, rng)
        errors = spread_of([a - b for a, b in zip(found, clean, strict=True)])
        noisy = [f + (n - c) for f, n, c in zip(found, noisy, clean, strict=True)]
        bare = found
        kind = f"{name}, then {kind}"
    parts = (clean, rounded(noisy, layout), level, errors, bare)
    return Sample(layout, *(tuple(p) for p in parts), scene, kind, calm=tuple(alone))


VIDEO = PlaneLayout(
    family=Family.YUV, bits=8, log2_chroma=(1, 1), full_range=False, matrix=Matrix.BT709
)


def through(planes: Planes, layout: PlaneLayout, rng: Rng) -> tuple[Planes, str]:
    """Planes through a codec; RGB and gray as the video that they were made from."""
    video = layout if layout.family is Family.YUV else VIDEO
    given = planes
    if layout.family is Family.RGB:
        given = planes_of(np.stack(planes, -1), video)
    elif layout.family is Family.GRAY:
        small = np.zeros_like(planes[0][:, ::2, ::2])
        given = [planes[0], small, small]
    codec = draw_codec(video, rng)
    found = coded(given, video, codec, rng)
    if layout.family is Family.RGB:
        pictures = [yuv.joined(list(each), video) for each in zip(*found, strict=True)]
        found = [np.stack(one) for one in zip(*pictures, strict=True)]
    elif layout.family is Family.GRAY:
        found = found[:1]
    return rounded(found, layout), codec.name


def unnoised(clean: Planes, layout: PlaneLayout, rng: Rng) -> Planes:
    """What a codec that is drawn next does to a scene without noise: standard deviations."""
    found, _ = through(rounded(clean, layout), layout, deepcopy(rng))
    return spread_of([a - b for a, b in zip(found, clean, strict=True)])


def of_camera(
    layout: PlaneLayout, scene: str, pictures: Pictures, rng: Rng, *, calm: bool
) -> Sample:
    """Shot by a small camera that develops what its sensor saw, coded afterwards in half of them;
    how strong its noise is at a sample is read off the noise around it."""
    camera, codes = Camera.draw(rng), to_codes(pictures)
    clean, noisy = (
        planes_of(np.stack([one.shoot(c, rng) for c in codes]).astype(np.float32) / 255, layout)
        for one in (camera.quiet, camera)
    )
    level = spread_of([a - b for a, b in zip(noisy, clean, strict=True)])
    alone, errors, kind = [], [np.zeros_like(p) for p in clean], "camera"
    noisy = rounded(noisy, layout)
    if rng.random() < 0.5:
        given = noisy
        alone = unnoised(clean, layout, rng) if calm else alone
        noisy, name = through(given, layout, rng)
        level, errors = parted(given, clean, noisy, level)
        kind = f"camera, then {name}"
    parts = (clean, noisy, level, errors, clean)
    return Sample(layout, *(tuple(p) for p in parts), scene, kind, calm=tuple(alone))


def of_sensor(layout: PlaneLayout, scene: str, pictures: Pictures, rng: Rng) -> Sample:
    """A mosaic of light with a sensor's noise; planes are half the size of a sample."""
    light = mosaicked(Unprocessing.draw(rng).sensor_light(to_codes(pictures)))
    law = draw_raw_law(rng)
    stacks = [np.moveaxis(x, -1, 0) for x in (light, sense(light, law, rng), law.level(light))]
    clean, noisy, level = (tuple(np.ascontiguousarray(p, np.float32) for p in s) for s in stacks)
    nothing = tuple(np.zeros_like(p) for p in clean)
    return Sample(layout, clean, noisy, level, nothing, clean, scene, "sensor")
