"""What is measured in stacks: still bursts, means at code 0, hot pixels, and the light of points by
width and background, all simulated.

    python benchmarks/quantities.py [burst means hot flux]
"""

import argparse
from collections.abc import Callable
from itertools import product

import numpy as np
from simulated import (
    GAIN,
    READ,
    cells,
    electrons,
    light_in,
    points,
    psnr,
    recorded,
    scattered,
    spot,
    texture,
)

import f2rcli
from f2rcli.frames import Floats


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
    shape = cells(120, rng, 1.0, 128, 24)[:8]
    for (gain, offset, read), photons in product(sensors, (0.1, 0.3, 1, 3)):
        codes = gain * rng.poisson(photons * shape) + offset + rng.normal(0, read, shape.shape)
        noisy = np.rint(codes).clip(0, 65535).astype(np.uint16)
        drift = f2rcli.denoise(noisy).mean((1, 2)) / noisy.mean((1, 2)) - 1
        print(
            f"gain {gain}, offset {offset}, read {read} codes, {photons} photons: "
            f"{(noisy == 0).mean():.0%} zeros, a frame {abs(drift).max():.4%}, "
            f"the lane {abs(drift.mean()):.4%}"
        )


def hot(rng: np.random.Generator) -> None:
    """60 hot pixels of 50 to 2000 electrons in 24 frames."""
    first = _passing(rng)
    scenes = {
        "cells of 2 electrons": cells(24, rng, 2.0, 128, 24),
        "cells of 20 electrons": cells(24, rng, 20.0, 128, 24),
        "a texture that moves": first,
    }
    for seed in range(2, 6):
        scenes[f"texture {seed} that moves"] = _passing(np.random.default_rng(seed))
    for name, light in scenes.items():
        rows, columns = scattered(60, 128, 8, rng).astype(int).T
        added = np.exp(rng.uniform(np.log(50), np.log(2000), rows.size))
        bad = light.copy()
        bad[:, rows, columns] += added
        seed = int(rng.integers(1 << 30))
        codes = [recorded(one, np.random.default_rng(seed)) for one in (light, bad)]
        sound, mended = (electrons(f2rcli.denoise(one)) for one in codes)
        live = electrons(np.stack(list(f2rcli.denoise(iter(codes[1])))))
        left, later = ((one - light)[:, rows, columns].mean(0) for one in (mended, live))
        print(
            f"{name}: {psnr(sound, light):.2f} dB without hot pixels, {psnr(mended, light):.2f} "
            f"with; {left.sum() / added.sum():.2%} of their light left, "
            f"{np.count_nonzero(abs(left) > 0.05 * added)} of {rows.size} keep more than 5 %, "
            f"{np.count_nonzero(abs(later) > 0.05 * added)} frame by frame"
        )


def _passing(rng: np.random.Generator) -> Floats:
    """A texture (24, 128, 128) that passes by a pixel a frame."""
    rolled = texture(1, 192, rng)[0] ** 3
    return np.stack([30 * rolled[:128, t : t + 128] for t in range(24)])


def flux(_: np.random.Generator) -> None:
    """Light kept, and that of the noisy frames in brackets, by width and background. SNR: the light
    over what the background's noise leaves of it in one frame, if place and width are known."""
    kinds = (("molecules", False, (200.0, 500.0, 2000.0)), ("stars", True, (100.0, 200.0, 500.0)))
    for (name, stay, lights), width, sky in product(
        kinds, (0.9, 1.1, 1.3, 1.6, 2.0), (2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
    ):
        scatter = width * np.sqrt(4 * np.pi * (sky + (READ / GAIN) ** 2))
        kept = np.concatenate([_light_kept(width, sky, lights, seed, stay) for seed in range(2)], 1)
        words = []
        for light, (own, noisy) in zip(lights, kept.reshape(len(lights), 2, -1), strict=True):
            error = np.std(own - noisy) / own.size**0.5
            words.append(
                f"{light:g} e, SNR {light / scatter:.1f}: "
                f"{own.mean():.2f} ({noisy.mean():.2f}) +- {error:.2f}"
            )
        print(f"{name}, {width} px on {sky:g} e | {' | '.join(words)}", flush=True)


def _light_kept(
    width: float, sky: float, lights: tuple[float, ...], seed: int, stay: bool
) -> Floats:
    """By light of all points: the shares that f2r and the noisy frames hold (2 rows, N columns)."""
    rng = np.random.default_rng(seed)
    light, found = points(
        12 if stay else 24, rng, electrons=lights, width=width, background=sky, side=128, count=9,
        stay=stay,
    )  # fmt: skip
    codes = recorded(light, rng)
    restored, noisy = electrons(f2rcli.denoise(codes)), electrons(codes)
    return np.array(
        [
            [
                light_in(one[point.frame] - sky, point) / light_in(light[point.frame] - sky, point)
                for point in found
                if point.electrons == bright
            ]
            for bright in lights
            for one in (restored, noisy)
        ]
    )


SCENES: dict[str, Callable[[np.random.Generator], None]] = {
    "burst": burst, "means": means, "hot": hot, "flux": flux
}  # fmt: skip


def main() -> None:
    """Print what every scene shows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenes", nargs="*", default=list(SCENES), help=", ".join(SCENES))
    for name in parser.parse_args().scenes:
        print(f"{name}: {SCENES[name].__doc__}")
        SCENES[name](np.random.default_rng(1))


if __name__ == "__main__":
    main()
