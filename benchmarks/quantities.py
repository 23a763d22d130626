"""What is measured in pictures, and what filters leave of it: the second table in
docs/microscopy.md.

python benchmarks/quantities.py [spikes molecules stars rows burst moving means]

Everything is simulated here, so that the truth is known: cells that spike, molecules that blink
for one frame, stars that stay, rows with offsets. Beside f2r: a median over space and time, and
the Gaussian filter of a grid that does best when it is chosen by the truth.
"""

import argparse
from collections.abc import Callable
from itertools import pairwise, product
from math import erf, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, median_filter

import f2rcli

Floats = NDArray[np.float64]

GAIN, OFFSET, READ = 8.0, 100.0, 4.0  # codes
DISC = 4.5  # pixels, in which light is summed
DECAY = 21.0  # frames, of the calcium indicator: 0.7 s at 30 Hz


def recorded(light: Floats, rng: np.random.Generator, rows: float = 0.0) -> NDArray[np.uint16]:
    """The codes a camera stores; light (T, H, W) in electrons, rows: their offsets, in codes."""
    codes = GAIN * rng.poisson(light) + OFFSET + rng.normal(0, READ, light.shape)
    codes += rng.normal(0, rows, light.shape[:2])[..., None]
    return np.rint(codes).clip(0, 65535).astype(np.uint16)


def electrons(codes: NDArray[np.generic]) -> Floats:
    return (codes.astype(np.float64) - OFFSET) / GAIN


def psnr(estimate: Floats, light: Floats) -> float:
    """Decibels; the peak is the 99.9th percentile minus the minimum of the light."""
    peak = np.percentile(light, 99.9) - light.min()
    return float(10 * np.log10(peak**2 / np.mean((estimate - light) ** 2)))


def estimates(codes: NDArray[np.uint16], light: Floats) -> dict[str, Floats]:
    """Electrons as every method gives them."""
    return filtered(codes, light) | {"f2r": electrons(f2rcli.denoise(codes))}


def filtered(codes: NDArray[np.uint16], light: Floats) -> dict[str, Floats]:
    """Electrons as they were recorded, and as simple filters give them."""
    noisy = electrons(codes)
    grid = product((0, 0.5, 1, 2, 3, 4), (0.5, 0.75, 1, 1.5, 2))
    smooth = (gaussian_filter(noisy, (t, xy, xy)) for t, xy in grid)
    return {
        "noisy": noisy,
        "median 3x3x3": median_filter(noisy, 3),
        "Gaussian, by the truth": max(smooth, key=lambda one: psnr(one, light)),
    }


def spot(side: int, row: float, column: float, width: float) -> Floats:
    """A Gaussian of unit sum, integrated over pixels."""

    def line(middle: float) -> Floats:
        edges = (np.arange(side + 1) - 0.5 - middle) / (width * sqrt(2))
        return np.diff([erf(edge) for edge in edges]) / 2

    return np.outer(line(row), line(column))


def scattered(count: int, side: int, apart: float, rng: np.random.Generator) -> Floats:
    """Up to so many places (N, 2), none closer to another than `apart`."""
    found: list[Floats] = []
    for _ in range(200 * count):
        place = rng.uniform(apart / 2, side - apart / 2, 2)
        if len(found) < count and all(np.hypot(*(place - one)) >= apart for one in found):
            found.append(place)
    return np.array(found)


def light_and_width(picture: Floats, place: Floats) -> tuple[float, float]:
    """The light in a disc around a place of a picture without its background, and its width:
    the square root of half its second moment."""
    rows, columns = np.ogrid[: picture.shape[0], : picture.shape[1]]
    square = (rows - place[0]) ** 2 + (columns - place[1]) ** 2
    inside = square <= DISC**2
    light = float(picture[inside].sum())
    moment = float((picture * square)[inside].sum()) / light if light > 0 else 0.0
    return light, sqrt(max(moment / 2, 0))


def false_positives(picture: Floats, apart: Floats, limit: float) -> int:
    """Blobs (a Gaussian of 1.3 pixels) above a limit of light, further than DISC from all places
    (N, 2), in a picture without its background."""
    seen = gaussian_filter(picture, 1.3) * 4 * np.pi * 1.3**2
    top = seen > limit
    for row, column in apart:
        rows, columns = np.ogrid[: top.shape[0], : top.shape[1]]
        top &= (rows - row) ** 2 + (columns - column) ** 2 > DISC**2
    local = np.pad(seen, 1, constant_values=-np.inf)
    for dy, dx in product((0, 1, 2), repeat=2):
        top &= seen >= local[dy : dy + top.shape[0], dx : dx + top.shape[1]]
    return int(np.count_nonzero(top))


def molecules(rng: np.random.Generator) -> None:
    """Molecules of one frame, 1.3 pixels wide, on 20 electrons of background."""
    _points(rng, (100, 200, 500, 1500), 1.3, 20.0, 24, 128, stay=False)


def stars(rng: np.random.Generator) -> None:
    """Stars in a burst of eight frames, 1.6 pixels wide, on 15 electrons of sky."""
    _points(rng, (100, 200, 500, 2000), 1.6, 15.0, 8, 160, stay=True)


def _points(
    rng: np.random.Generator, kinds: tuple[float, ...], width: float, background: float,
    frames: int, side: int, *, stay: bool,
) -> None:  # fmt: skip
    light, placed = np.full((frames, side, side), background), []
    for frame in range(1 if stay else frames):
        places = scattered(36 if stay else 9, side, 22, rng)
        for number, place in enumerate(places):
            kind = kinds[(number + frame) % len(kinds)]
            light[slice(None) if stay else frame] += kind * spot(side, *place, width)
            placed += [(at, place, kind) for at in (range(frames) if stay else [frame])]
    for name, estimate in estimates(recorded(light, rng), light).items():
        words = [f"{name:24} {psnr(estimate, light):6.2f} dB"]
        for kind in kinds:
            found = [
                (light_and_width(estimate[at] - background, place),
                 light_and_width(light[at] - background, place))
                for at, place, one in placed if one == kind
            ]  # fmt: skip
            shares = [seen[0] / true[0] for seen, true in found]
            wide = np.median([seen[1] for seen, _ in found])
            words.append(f"{kind:g}: {np.mean(shares):.2f} +- {np.std(shares):.2f}, {wide:.2f} px")
        wrong = sum(
            false_positives(
                estimate[at] - background,
                np.array([place for t, place, _ in placed if t == at]), 0.5 * kinds[0],
            )
            for at in range(frames)
        )  # fmt: skip
        print(" | ".join(words), f"| {wrong / frames:.1f} false a frame")


def spikes(rng: np.random.Generator) -> None:
    """Calcium imaging at four light levels, 24 cells, 120 frames of 128x128."""
    for photons in (0.5, 2.0, 10.0, 50.0):
        light, cells, truth, onsets = _spiking(photons, rng)
        for name, estimate in estimates(recorded(light, rng), light).items():
            found = np.array([estimate[:, cell].mean(1) for cell in cells])
            match = np.median([np.corrcoef(*pair)[0, 1] for pair in zip(found, truth, strict=True)])
            rises = [
                ((found[c, t] - found[c, t - 1]) / (truth[c, t] - truth[c, t - 1]),
                 (found[c, t - 1] - found[c, t - 2]) / (truth[c, t] - truth[c, t - 1]),
                 int(np.argmax(np.diff(found[c, t - 3 : t + 3]))) - 2)
                for c, t in onsets
            ]  # fmt: skip
            amplitude, early, shift = np.median(rises, axis=0)
            edges = np.quantile(light, (0, 0.2, 0.8, 0.999, 1))
            bias = [
                100 * ((estimate - light)[part].mean() / light[part].mean())
                for low, high in pairwise(edges)
                if (part := (light >= low) & (light <= high)).any()
            ]
            print(
                f"{photons:g} | {name:24} {psnr(estimate, light):6.2f} dB | trace r {match:.3f} | "
                f"amplitude {amplitude:.2f} | a frame early {early:+.2f} | onset {shift:+.0f} | "
                f"bias % {' '.join(f'{one:+.1f}' for one in bias)}"
            )


def _spiking(
    photons: float, rng: np.random.Generator
) -> tuple[Floats, list[NDArray[np.bool_]], Floats, list[tuple[int, int]]]:
    """Light (T, H, W), cells (H, W), their mean light (N, T), and lone spikes (cell, frame)."""
    frames, side = 120, 128
    texture = gaussian_filter(rng.normal(size=(side, side)), 6)
    light = np.tile(np.clip(1 + 0.4 * texture / texture.std(), 0.3, None), (frames, 1, 1))
    rows, columns = np.ogrid[:side, :side]
    cells, onsets = [], []
    for number, place in enumerate(scattered(24, side, 14, rng)):
        far, radius = np.hypot(rows - place[0], columns - place[1]), rng.uniform(4, 6)
        fired = rng.random(frames) < 0.5 / 30
        fired[:4] = fired[-4:] = False
        trace = np.zeros(frames)
        for t in range(1, frames):
            trace[t] = trace[t - 1] * np.exp(-1 / DECAY) + fired[t]
        shape = rng.uniform(0.6, 2.5) / (1 + np.exp((far - radius) / 0.8))
        light += (1 + trace)[:, None, None] * shape
        cells.append(far < radius)
        onsets += [
            (number, int(t)) for t in np.flatnonzero(fired) if fired[t - 4 : t + 4].sum() == 1
        ]
    light *= photons / light.mean()
    return light, cells, np.array([light[:, cell].mean(1) for cell in cells]), onsets


def moving(_: np.random.Generator) -> None:
    """Cells that spike and move, at half an electron: in floats, and rounded to codes as stored."""
    for speed, seed in ((0.3, 2), (0.6, 2), (0.6, 3), (1.2, 3)):  # pixels a frame
        light = _wandering(speed, 0.5, np.random.default_rng(seed))
        codes = recorded(light, np.random.default_rng(50 + seed))
        best = filtered(codes, light)["Gaussian, by the truth"]
        stored = electrons(np.rint(GAIN * best + OFFSET))
        own = [electrons(f2rcli.denoise(one)) for one in (codes.astype(np.float32), codes)]
        words = (f"{psnr(one, light):.2f}" for one in (best, own[0], stored, own[1]))
        print("{} px | floats: Gaussian {}, f2r {} dB | codes: {}, {} dB".format(speed, *words))


def _wandering(speed: float, photons: float, rng: np.random.Generator) -> Floats:
    """Light (T, H, W) of cells that move straight on and turn back at the border."""
    frames, side = 72, 112
    texture = gaussian_filter(rng.normal(size=(side, side)), 6)
    light = np.tile(np.clip(1 + 0.4 * texture / texture.std(), 0.3, None), (frames, 1, 1))
    rows, columns = np.ogrid[:side, :side]
    for start in scattered(20, side, 14, rng):
        radius, fired, trace = rng.uniform(4, 6), rng.random(frames) < 0.5 / 30, np.zeros(frames)
        angle, bright = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 2.5)
        for t in range(frames):
            trace[t] = trace[t - 1] * np.exp(-1 / DECAY) + fired[t] if t else 0
            place = (start + speed * t * np.array([np.sin(angle), np.cos(angle)])) % (2 * side)
            row, column = np.where(place > side, 2 * side - place, place)
            far = np.hypot(rows - row, columns - column)
            light[t] += (1 + trace[t]) * bright / (1 + np.exp((far - radius) / 0.8))
    return light * photons / light.mean()


def rows(rng: np.random.Generator) -> None:
    """Rows with offsets of 25 codes, anew in every frame, on smooth light of 30 electrons."""
    across = np.linspace(0, 9, 128)
    light = np.tile(30 + 12 * np.sin(across[:, None]) * np.cos(across), (12, 1, 1))
    for name, estimate in estimates(recorded(light, rng, rows=25.0), light).items():
        left = GAIN * (estimate - light).mean(2)
        print(f"{name:24} {psnr(estimate, light):6.2f} dB | rows off by {left.std():.1f} codes")


def burst(rng: np.random.Generator) -> None:
    """64 frames of still stars: the mean of the frames so far, and f2r's frame."""
    light = np.full((128, 128), 15.0)
    for number, place in enumerate(scattered(25, 128, 20, rng)):
        light += (100, 200, 500, 2000)[number % 4] * spot(128, *place, 1.6)
    codes = recorded(np.repeat(light[None], 64, axis=0), rng)
    restored, noisy = electrons(f2rcli.denoise(codes)), electrons(codes)
    for count in (9, 17, 33, 49, 64):
        mean, own = psnr(noisy[:count].mean(0), light), psnr(restored[count - 1], light)
        print(f"{count:3} frames: mean {mean:5.2f} dB, f2r {own:5.2f} dB")
    means = (psnr(one.mean(0), light) for one in (noisy, restored))
    print("mean of all frames {:.2f} dB, of f2r's {:.2f} dB".format(*means))


def means(rng: np.random.Generator) -> None:
    """How far means of frames and of the lane move where samples end at code 0: 8 frames."""
    sensors = ((1, 0, 0), (1, 0, 0.5), (2, -1, 1), (8, -6, 6), (20, -40, 20))
    shape = _spiking(1.0, rng)[0][:8]
    for (gain, offset, read), photons in product(sensors, (0.1, 0.3, 1, 3)):
        codes = gain * rng.poisson(photons * shape) + offset + rng.normal(0, read, shape.shape)
        noisy = np.rint(codes).clip(0, 65535).astype(np.uint16)
        drift = f2rcli.denoise(noisy).mean((1, 2)) / noisy.mean((1, 2)) - 1
        print(
            f"gain {gain}, offset {offset}, read {read} codes, {photons} photons: "
            f"{(noisy == 0).mean():.0%} zeros, a frame {abs(drift).max():.4%}, "
            f"the lane {abs(drift.mean()):.4%}"
        )


SCENES: dict[str, Callable[[np.random.Generator], None]] = {
    "spikes": spikes, "molecules": molecules, "stars": stars, "rows": rows,
    "burst": burst, "moving": moving, "means": means,
}  # fmt: skip


def main() -> None:
    """Print a row for every method on every scene."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenes", nargs="*", default=list(SCENES), help=", ".join(SCENES))
    for name in parser.parse_args().scenes:
        print(f"{name}: {SCENES[name].__doc__}")
        SCENES[name](np.random.default_rng(1))


if __name__ == "__main__":
    main()
