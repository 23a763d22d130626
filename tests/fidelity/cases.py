"""The picture contract: what a denoiser may never do to a picture, in ten cases and their bars.

Every case makes a source whose truth is known, runs `f2r denoise SOURCE -o OUT --lossless`, and
compares decoded samples with the truth in the file's own codes: 8 bit, limited range Y'CbCr 4:2:0.
The cases are run small by test_fidelity.py and at full size by benchmarks/fidelity.py.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.fidelity import footage
from tests.fidelity.footage import BARS75, NEUTRAL, RATE, Clip, Planes


@dataclass(frozen=True, slots=True)
class Bar:
    """The most a figure may be, or the least it must be."""

    limit: float
    least: bool = False

    def held(self, figure: float) -> bool:
        """Whether a figure is good enough; nan never is."""
        return figure >= self.limit if self.least else figure <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.least else '<='} {self.limit:g}"


def at_most(limit: float) -> Bar:
    return Bar(limit)


def at_least(limit: float) -> Bar:
    return Bar(limit, least=True)


# Case, figure: bar. Sigmas and shifts are in 8-bit codes, gains and PSNR in dB of luma.
BARS: dict[tuple[str, str], Bar] = {
    ("patches", "no noise: samples changed, %"): at_most(0),
    ("patches", "sigma 2: worst shift of a patch's mean"): at_most(0.5),
    ("patches", "sigma 4: worst shift of a patch's mean"): at_most(0.5),
    ("patches", "sigma 8: worst shift of a patch's mean"): at_most(0.5),
    ("patches", "sigma 17: worst shift of a patch's mean"): at_most(0.5),
    ("patches", "sigma 2: noise left in the worst patch"): at_most(0.5),
    ("patches", "sigma 4: noise left in the worst patch"): at_most(0.5),
    ("patches", "sigma 8: noise left in the worst patch"): at_most(0.96),
    ("patches", "sigma 17: noise left in the worst patch"): at_most(2.04),
    ("letterbox", "clean bars: most a sample is off"): at_most(1),
    ("letterbox", "clean bars: mean a sample is off"): at_most(0.1),
    ("dark", "worst bias of a step of 4 codes"): at_most(0.5),
    ("dark", "luma error over FFmpeg's best"): at_most(0.85),
    ("dark", "chroma error over FFmpeg's best"): at_most(0.85),
    ("neutral", "chroma samples that left 128, %"): at_most(0),
    ("clean", "worst clip: PSNR of output to input"): at_least(48),
    ("clean", "mean of clips: PSNR of output to input"): at_least(50),
    ("clean", "graphics: PSNR of output to input"): at_least(55),
    ("light", "sigma 1: worst clip's gain"): at_least(0),
    ("light", "sigma 1: mean gain"): at_least(1.5),
    ("light", "sigma 2: worst clip's gain"): at_least(0),
    ("light", "sigma 2: mean gain"): at_least(3.2),
    ("light", "sigma 3: worst clip's gain"): at_least(0),
    ("light", "sigma 3: mean gain"): at_least(4.2),
    ("light", "sigma 5: worst clip's gain"): at_least(0),
    ("light", "sigma 5: mean gain"): at_least(5.8),
    ("static", "sigma 0.5: worst clip's detail kept"): at_least(0.98),
    ("static", "sigma 0.5: worst clip's gain"): at_least(0),
    ("static", "sigma 5: worst clip's detail kept"): at_least(0.93),
    ("static", "sigma 5: worst clip's gain"): at_least(0),
    ("static", "sigma 5: mean gain"): at_least(9),
    ("static", "sigma 15: worst clip's detail kept"): at_least(0.85),
    ("static", "sigma 15: worst clip's gain"): at_least(0),
    ("static", "sigma 15: mean gain"): at_least(12),
    ("texture", "white, still: gain"): at_least(0),
    ("texture", "white, moving: gain"): at_least(0),
    ("texture", "soft, still: gain"): at_least(0),
    ("texture", "soft, moving: gain"): at_least(0),
    ("lattice", "flat places of coded clips: 2-pixel pattern added"): at_most(0.02),
    ("excerpt", "RMS between an excerpt and the whole run"): at_most(0.3),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of each case is run."""

    frames: int = 9
    still: int = 24  # frames of a still scene, judged on the second half
    height: int = 192  # of clips; a multiple of 16
    width: int = 256
    patch: int = 40  # pixels across a colour bar
    patches: tuple[int, ...] = (2, 4, 8, 17)  # sigmas
    light: tuple[int, ...] = (1, 2, 3, 5)
    static: tuple[float, ...] = (0.5, 5, 15)
    dark: int = 3  # clips
    excerpt: tuple[int, int, int] = (24, 10, 5)  # frames in all, first one, how many
    textures: tuple[tuple[bool, bool], ...] = (
        (False, False), (False, True), (True, False), (True, True),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What cases run on: clips, a folder to work in, and the program."""

    work: Path
    run: Callable[[list[str]], int]  # f2r's arguments; returns its exit code
    clips: Callable[[int], Mapping[str, Clip]]  # so many clean frames of each clip
    grainy: Callable[[int], Clip]  # so many noisy frames of one
    size: Size

    def first(self) -> Clip:
        """The first clip."""
        return next(iter(self.clips(self.size.frames).values()))

    def write(self, name: str, clip: Clip) -> Path:
        """A lossless file."""
        return footage.write(self.work / f"{name}.mkv", clip)

    def denoise(self, source: Path, *options: str) -> Clip:
        """What f2r makes of a file."""
        target = source.with_name("_".join([source.stem, "out", *options]) + ".mkv")
        arguments = ["denoise", str(source), "-o", str(target), "--lossless", "--overwrite"]
        code = self.run([*arguments, *options])
        if code:
            raise RuntimeError(f"f2r denoise {source.name} {' '.join(options)}: exit code {code}")
        return footage.read(target)


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of a case, of one clip or of all of them."""

    case: str
    what: str
    figure: float
    clip: str = ""

    @property
    def bar(self) -> Bar:
        return BARS[self.case, self.what]

    @property
    def held(self) -> bool:
        return self.bar.held(self.figure)

    def __str__(self) -> str:
        what = f"{self.what} ({self.clip})" if self.clip else self.what
        word = "ok" if self.held else "SHORT"
        return f"{self.case:10s} {what:62s} {self.figure:9.3f}  {self.bar!s:8s} {word}"


Rows = Iterator[Row]


def patches(bench: Bench) -> Rows:
    """Colour bars under noise that may go below black: no patch changes its mean."""
    size = bench.size
    truth = footage.colour_bars(size.height * 3 // 4, size.patch, size.frames - 1)
    source = bench.write("patches0", truth)
    yield Row("patches", "no noise: samples changed, %", _changed(bench, source))
    for sigma in size.patches:
        source = bench.write(f"patches{sigma}", footage.noisy(truth, sigma, sigma))
        before, after = footage.read(source), bench.denoise(source)
        shifts = [abs(a.mean() - b.mean()) for a, b in _patch_pairs(after, before, size.patch)]
        left = [float(a.std()) for a, _ in _patch_pairs(after, before, size.patch)]
        yield Row("patches", f"sigma {sigma}: worst shift of a patch's mean", max(shifts))
        yield Row("patches", f"sigma {sigma}: noise left in the worst patch", max(left))


def _changed(bench: Bench, source: Path) -> float:
    """Percent of samples, the mean of the planes."""
    pairs = zip(footage.read(source), bench.denoise(source), strict=True)
    return 100 * float(
        np.mean([np.mean(a != b) for x, y in pairs for a, b in zip(x, y, strict=True)])
    )


def _patch_pairs(
    after: Clip, before: Clip, patch: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The inside of every patch and plane over all frames, of both clips."""
    for plane, (width, edge) in enumerate(((patch, 8), (patch // 2, 4), (patch // 2, 4))):
        for index in range(len(BARS75)):
            columns = slice(index * width + edge, (index + 1) * width - edge)
            inside = (slice(edge, -edge), columns)
            yield (
                np.stack([f[plane][inside] for f in after]),
                np.stack([f[plane][inside] for f in before]),
            )


def letterbox(bench: Bench) -> Rows:
    """Clean black bars around a noisy picture stay black."""
    pad = bench.size.height // 6 // 2 * 2
    truth = footage.letterboxed(bench.first(), pad)
    loud = footage.noisy(truth, 10, 3)
    for noisy, clean in zip(loud, truth, strict=True):
        for plane, width in enumerate((pad, pad // 2, pad // 2)):
            noisy[plane][:width], noisy[plane][-width:] = (
                clean[plane][:width],
                clean[plane][-width:],
            )
    after = bench.denoise(bench.write("letterbox", loud))
    off = np.concatenate(
        [
            np.abs(np.concatenate([plane[:rows], plane[-rows:]]) - black).ravel()
            for planes in after
            for plane, rows, black in zip(
                planes, (pad - 4, pad // 2 - 2, pad // 2 - 2), (16, NEUTRAL, NEUTRAL), strict=True
            )
        ]
    )
    yield Row("letterbox", "clean bars: most a sample is off", float(off.max()))
    yield Row("letterbox", "clean bars: mean a sample is off", float(off.mean()))


# Settings of FFmpeg's filters that the dark case has to beat; the best of them on each clip counts.
RIVALS = [("nlmeans", f"s={s}:p=7:r=11") for s in (4, 6, 8, 12)] + [
    ("atadenoise", f"0a={a}:1a={a}:2a={a}:0b={2 * a}:1b={2 * a}:2b={2 * a}:s=9")
    for a in (0.04, 0.08)
]


def dark(bench: Bench) -> Rows:
    """Codes 16..43 under noise that may go below black: no bias, and better than FFmpeg."""
    clips = list(bench.clips(bench.size.frames).items())
    for name, clip in clips[:: max(1, len(clips) // bench.size.dark)][: bench.size.dark]:
        truth = footage.darkened(clip)
        source = bench.write(f"dark_{name}", footage.noisy(truth, 8, 5))
        after = bench.denoise(source)
        yield Row("dark", "worst bias of a step of 4 codes", _bias(after, truth), name)
        rivals = [footage.filtered(source, *rival) for rival in RIVALS]
        for word, planes in (("luma", (0,)), ("chroma", (1, 2))):
            best = min(rms(r, truth, planes) for r in rivals if len(r) == len(truth))
            over = rms(after, truth, planes) / best
            yield Row("dark", f"{word} error over FFmpeg's best", over, name)


def _bias(after: Clip, truth: Clip) -> float:
    """The worst mean error of luma over steps of the truth's brightness that are seen enough."""
    y, t = (np.concatenate([f[0].ravel() for f in clip]) for clip in (after, truth))
    steps = [(t >= low) & (t < low + 4) for low in range(16, 44, 4)]
    enough = max(1000, y.size // 100)
    return max(abs(float((y - t)[step].mean())) for step in steps if step.sum() > enough)


def neutral(bench: Bench) -> Rows:
    """Film without colour gets none."""
    truth = [[y, *(np.full_like(c, NEUTRAL) for c in chroma)] for y, *chroma in bench.first()]
    after = bench.denoise(bench.write("neutral", footage.noisy(truth, (12, 0, 0), 9)))
    left = np.mean([np.mean(planes[p] != NEUTRAL) for planes in after for p in (1, 2)])
    yield Row("neutral", "chroma samples that left 128, %", 100 * float(left))


def clean(bench: Bench) -> Rows:
    """Clips and graphics without noise come out as they went in."""
    size = bench.size
    figures = []
    for name, clip in bench.clips(size.frames).items():
        source = bench.write(f"clean_{name}", clip)
        figures.append(psnr(bench.denoise(source), footage.read(source)))
    yield Row("clean", "worst clip: PSNR of output to input", min(figures))
    yield Row("clean", "mean of clips: PSNR of output to input", float(np.mean(figures)))
    source = bench.write("graphics", footage.graphics(size.height, size.width, size.frames - 1))
    figure = psnr(bench.denoise(source), footage.read(source))
    yield Row("clean", "graphics: PSNR of output to input", figure)


def light(bench: Bench) -> Rows:
    """Light white noise: no clip gets worse, and all together better."""
    for sigma in bench.size.light:
        gains = [
            gain(bench, f"light{sigma}_{name}", clip, sigma, 11)
            for name, clip in bench.clips(bench.size.frames).items()
        ]
        yield Row("light", f"sigma {sigma}: worst clip's gain", min(gains))
        yield Row("light", f"sigma {sigma}: mean gain", float(np.mean(gains)))


def static(bench: Bench) -> Rows:
    """A still scene: its detail stays, and many frames are better than one."""
    frames = bench.size.still
    half = frames // 2
    for sigma in bench.size.static:
        gains, kept = [], []
        for name, clip in bench.clips(1).items():
            truth = clip[:1] * frames
            source = bench.write(f"static{sigma:g}_{name}", footage.noisy(truth, sigma, 13))
            after, before = bench.denoise(source)[half:], footage.read(source)[half:]
            gains.append(psnr(after, truth[half:]) - psnr(before, truth[half:]))
            kept.append(detail(after, truth[half:]))
        yield Row("static", f"sigma {sigma:g}: worst clip's detail kept", min(kept))
        yield Row("static", f"sigma {sigma:g}: worst clip's gain", min(gains))
        if ("static", f"sigma {sigma:g}: mean gain") in BARS:
            yield Row("static", f"sigma {sigma:g}: mean gain", float(np.mean(gains)))


def texture(bench: Bench) -> Rows:
    """Strong random texture is never made worse than its noise made it."""
    size = bench.size
    for soft, moving in size.textures:
        truth = footage.speckle(size.height, size.width, size.frames, soft=soft, moving=moving)
        what = f"{'soft' if soft else 'white'}, {'moving' if moving else 'still'}"
        found = gain(bench, what.replace(", ", "_"), truth, 10, 17)
        yield Row("texture", f"{what}: gain", found)


def lattice(bench: Bench) -> Rows:
    """Flat places of coded clips get no 2-pixel pattern."""
    added = []
    for name, clip in bench.clips(bench.size.frames).items():
        source = footage.coded(bench.work / f"lattice_{name}.mp4", footage.noisy(clip, 0.7, 19))
        before, after = footage.read(source), bench.denoise(source)
        spread = _blocks(before[len(before) // 2][0]).std((2, 3))
        flat = spread <= np.percentile(spread, 25)
        added.append(_alternating(after, flat) - _alternating(before, flat))
    yield Row("lattice", "flat places of coded clips: 2-pixel pattern added", max(added))


BLOCK = 16  # pixels per side of the blocks that patterns are sought in


def _blocks(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rows, columns, BLOCK, BLOCK) of a plane."""
    rows, columns = (side // BLOCK for side in plane.shape)
    cells = plane[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    return cells.transpose(0, 2, 1, 3)


def _alternating(clip: Clip, where: NDArray[np.bool_]) -> float:
    """Amplitude, in codes, at half a cycle per pixel across, down or both, the strongest."""
    sign, one = np.where(np.arange(BLOCK) % 2, -1.0, 1.0), np.ones(BLOCK)
    ways = ((sign, sign), (sign, one), (one, sign))
    powers = [
        max(
            np.square(np.einsum("abij,i,j->ab", _blocks(f[0]), down, across) / BLOCK**2)[
                where
            ].mean()
            for down, across in ways
        )
        for f in clip
    ]
    return float(np.sqrt(np.mean(powers)))


def excerpt(bench: Bench) -> Rows:
    """--start and --frames give the samples that these frames have in the whole run."""
    frames, start, count = bench.size.excerpt
    source = bench.write("excerpt", bench.grainy(frames))
    whole = bench.denoise(source)[start : start + count]
    part = bench.denoise(source, "--start", f"{start / RATE:g}", "--frames", str(count))
    figure = rms(part, whole, (0, 1, 2))
    yield Row("excerpt", "RMS between an excerpt and the whole run", figure)


CASES: dict[str, Callable[[Bench], Rows]] = {
    case.__name__: case
    for case in (
        patches, letterbox, dark, neutral, clean, light, static, texture, lattice, excerpt
    )
}  # fmt: skip


def gain(bench: Bench, name: str, truth: Clip, sigma: float, seed: int) -> float:
    """What denoising gains of a clip under white noise, dB of luma."""
    source = bench.write(name, footage.noisy(truth, sigma, seed))
    return psnr(bench.denoise(source), truth) - psnr(footage.read(source), truth)


def psnr(a: Clip, b: Clip) -> float:
    """Of luma over all frames, dB; both as rounded codes. Equal clips have 88 dB."""
    errors = [np.mean((_codes(x) - _codes(y)) ** 2) for x, y in zip(a, b, strict=True)]
    return float(10 * np.log10(255**2 / max(float(np.mean(errors)), 1e-4)))


def _codes(planes: Planes) -> NDArray[np.float64]:
    return np.clip(np.rint(planes[0]), 0, 255)


def rms(a: Clip, b: Clip, planes: tuple[int, ...]) -> float:
    """Root mean square difference over frames and planes, in codes; planes weigh the same."""
    squares = [np.mean((x[p] - y[p]) ** 2) for x, y in zip(a, b, strict=True) for p in planes]
    return float(np.sqrt(np.mean(squares)))


def detail(clip: Clip, truth: Clip) -> float:
    """How much of the truth's fine detail is there: regression of high-passed luma on its own."""
    a, t = (np.concatenate([_high(f[0]).ravel() for f in each]) for each in (clip, truth))
    return float((a * t).sum() / (t * t).sum())


def _high(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    around = plane[:-2, 1:-1] + plane[2:, 1:-1] + plane[1:-1, :-2] + plane[1:-1, 2:]
    return plane[1:-1, 1:-1] - around / 4
