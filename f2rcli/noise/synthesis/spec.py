"""The language of --noise: `gaussian:30`, `gaussian:5-55`, `poisson-gaussian:0.01,4`, and the short
names of the project's tables: g30, pg, corr30, h264, h264_20.
"""

import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from f2rcli.errors import UsageError, nearest
from f2rcli.frames import ClipInfo, Frame
from f2rcli.noise.synthesis.law import ENCODERS, Coding, Law, coded_clip, noisy_clip
from f2rcli.units import count

Range = tuple[float, float]  # low and high; equal where one number was written


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that a kind of noise takes, or a range that it is drawn from."""

    name: str
    low: float
    high: float
    default: float


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of noise: its numbers in the order they are written, and the law they make."""

    parameters: tuple[Parameter, ...]
    law: Callable[..., Law]
    words: tuple[str, ...] = ()  # one of which may follow the numbers; the first is the default
    coded: bool = False

    def usage(self, name: str) -> str:
        """How it is written, with default numbers."""
        values = [f"{p.default:g}" for p in self.parameters] + list(self.words[:1])
        return f"{name}:{','.join(values)}" if values else name


_SIGMA = Parameter("sigma in 8-bit units", 0, 255, 30)
_GAIN = Parameter("gain, variance per unit of signal,", 0, 1, 0.01)
_READ = Parameter("read noise in 8-bit units", 0, 255, 4)
_BLUR = Parameter("blur in pixels", 0.1, 5, 0.8)
_CRF = Parameter("constant rate factor", 0, 51, 23)

KINDS = {
    "gaussian": Kind((_SIGMA,), lambda s: Law(0.0, s / 255)),
    "poisson-gaussian": Kind((_GAIN, _READ), lambda g, r: Law(g, r / 255)),
    "correlated": Kind((_SIGMA, _BLUR), lambda s, b: Law(0.0, s / 255, b)),
    "compressed": Kind(
        (_SIGMA, _CRF), lambda s, crf: Law(0.0, s / 255), tuple(ENCODERS), coded=True
    ),
}
# Short names, {} for sigma, and what they stand for. Clips are seeded by them.
SHORT = (
    ("g{}", "gaussian:{}"),
    ("pg", "poisson-gaussian:0.01,4"),
    ("corr{}", "correlated:{},0.8"),
    ("h264", "compressed:30,23"),
    ("h264_{}", "compressed:{},23"),
)


@dataclass(frozen=True, slots=True)
class NoiseSpec:
    """Noise as a user wrote it: a kind with its numbers."""

    kind: str
    ranges: tuple[Range, ...]
    word: str = ""

    @property
    def name(self) -> str:
        """In its canonical form, "gaussian:30"; only a default word is left out."""
        values = [_text(range_) for range_ in self.ranges]
        values += [self.word] if self.word not in KINDS[self.kind].words[:1] else []
        return f"{self.kind}:{','.join(filter(None, values))}".removesuffix(":")

    @property
    def sigma8(self) -> float | None:
        """Standard deviation in 8-bit units of Gaussian noise of one strength; else None."""
        low, high = self.ranges[0]
        alike = self.kind in ("gaussian", "correlated") and low == high
        return low if alike else None

    def add(
        self, frames: Iterable[Frame], info: ClipInfo, *, seed: int, clipped: bool
    ) -> tuple[ClipInfo, Iterator[Frame]]:
        """The noisy clip's facts and its frames, one for one, the same for the same seed.

        Gives RGB or gray; if not `clipped` as float32 samples that may lie outside 0..1, if
        `clipped` as what a file holds: 8-bit samples, rounded once. Mosaics, and stacks if
        `clipped`, stay what they are, in their own codes. Compressed noise gives what its decoder
        gives (8-bit Y'CbCr 4:2:0), whatever `clipped` says. A noisy clip that is smaller (4:2:0
        wants even sizes) is compared from the upper left corner. Numbers of ranges are drawn once
        per clip, by the seed and its name.

        Raises InputError for mosaics and sizes that this noise is not defined for.
        """
        law, coding, rng = self.draw_for(info.name, seed)
        if coding is not None:
            return coded_clip(frames, info, law, coding, rng)
        return noisy_clip(frames, info, law, rng, clipped=clipped)

    def draw_for(self, clip: str, seed: int) -> tuple[Law, Coding | None, np.random.Generator]:
        """The law of a clip of this name, drawn within the ranges, the codec its pictures go
        through afterwards, and its noise's generator, which depends on noise and seed alone."""
        short = _respelled(self.name, ((long, short) for short, long in SHORT))
        key, kind = zlib.crc32(short.encode()), KINDS[self.kind]
        rng = np.random.default_rng([seed, key, zlib.crc32(clip.encode())])
        values = [float(rng.uniform(*range_)) for range_ in self.ranges]
        coding = Coding(ENCODERS[self.word], round(values[1])) if kind.coded else None
        return kind.law(*values), coding, np.random.default_rng([seed, key])


def parse(text: str) -> NoiseSpec:
    """The noise that a text describes: a kind with numbers, ranges of them, or neither.

    sigma and read noise in 8-bit units, gain per unit of signal in 0..1, blur in pixels. Raises
    UsageError for what is unknown or out of range, naming the text and the choices.
    """
    name, colon, values = _respelled(text.strip(), SHORT).partition(":")
    if name not in KINDS:
        raise UsageError(
            f"noise={text!r}: {name or 'nothing'} is not a kind of noise.",
            hint=f"{nearest(name, list(KINDS))} Written as {', '.join(usages())}.",
        )
    kind = KINDS[name]
    given = values.split(",") if colon else []
    word = given.pop().strip() if given and given[-1].strip() in kind.words else kind.words[:1]
    ranges = [(one.default, one.default) for one in kind.parameters]
    try:
        if len(given) > len(ranges):
            raise ValueError(f"{name} takes at most {count(len(ranges), 'number')}")
        ranges[: len(given)] = map(_range, given, kind.parameters)
    except ValueError as error:
        hint = f"Write {kind.usage(name)}, for example."
        raise UsageError(f"noise={text!r}: {error}.", hint=hint) from error
    return NoiseSpec(name, tuple(ranges), "".join(word))


def usages() -> list[str]:
    """Every kind as it is written, with default numbers."""
    return [kind.usage(name) for name, kind in KINDS.items()]


def _range(value: str, parameter: Parameter) -> Range:
    """A number or range as it is written. Raises ValueError with what is wrong."""
    number = r"(\d+\.?\d*(?:e-?\d+)?|\.\d+)"
    match = re.fullmatch(rf"\s*{number}(?:-{number})?\s*", value)
    if match is None:
        what = value.strip() or "nothing"
        raise ValueError(f"{what} is neither a number nor a range such as 5-55")
    low = float(match[1])
    high = low if match[2] is None else float(match[2])
    if low > high:
        raise ValueError(f"the range {value.strip()} runs backwards")
    if not parameter.low <= low <= high <= parameter.high:
        limits = f"{parameter.low:g} to {parameter.high:g}"
        raise ValueError(f"{parameter.name} must be from {limits}")
    return low, high


def _text(range_: Range) -> str:
    low, high = range_
    return f"{low:g}" if low == high else f"{low:g}-{high:g}"


def _respelled(text: str, forms: Iterable[tuple[str, str]]) -> str:
    """`text` in the second form of the pair whose first it has; as it is where there is none."""
    for form, other in forms:
        match = re.fullmatch(re.escape(form).replace(r"\{\}", r"(\d+\.?\d*)"), text)
        if match is not None:
            return other.format(*match.groups())
    return text
