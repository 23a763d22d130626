"""Noise for clean clips, as a user writes it: `gaussian:5-55+correlated:3-50,0.4-1.3+realistic`."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from f2rcli.errors import UsageError
from f2rcli.noise.synthesis.corruption import Law, draw_law

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number of a noise law, and what it may be."""

    name: str
    low: float
    high: float
    default: Range


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of noise: its parameters in the order they are written, and how a law is drawn."""

    parameters: tuple[Parameter, ...]
    draw: Callable[[np.random.Generator, list[Range]], Law]

    def usage(self, name: str) -> str:
        """How it is written, with its defaults."""
        values = ",".join(f"{p.default[0]:g}-{p.default[1]:g}" for p in self.parameters)
        return f"{name}:{values}" if values else name


_SIGMA = Parameter("sigma in 8-bit codes", 0, 200, (5, 55))
_GAIN = Parameter("gain, variance per unit of signal", 1e-6, 1, (0.001, 0.04))
_READ = Parameter("read noise in 8-bit codes", 0, 200, (0, 15))
_BLUR = Parameter("blur in pixels", 0, 5, (0.4, 1.3))
_IMPULSES = Parameter("share of black and white samples", 0, 1, (0.1, 0.1))
_MIXED_SIGMA = Parameter("sigma in 8-bit codes", 0, 200, (25.5, 25.5))
_CORRELATED_SIGMA = Parameter("sigma in 8-bit codes", 0, 200, (3, 50))


def _gaussian(rng: np.random.Generator, ranges: list[Range]) -> Law:
    return Law(0.0, rng.uniform(*ranges[0]) / 255, 0.0)


def _poisson_gaussian(rng: np.random.Generator, ranges: list[Range]) -> Law:
    gain = float(np.exp(rng.uniform(*np.log(ranges[0]))))  # every octave is as likely
    return Law(gain, rng.uniform(*ranges[1]) / 255, 0.0)


def _correlated(rng: np.random.Generator, ranges: list[Range]) -> Law:
    return Law(0.0, rng.uniform(*ranges[0]) / 255, rng.uniform(*ranges[1]))


def _salt_pepper(rng: np.random.Generator, ranges: list[Range]) -> Law:
    sigma = rng.uniform(*ranges[0]) / 255
    return Law(0.0, sigma, 0.0, impulses=float(rng.uniform(*ranges[1])))


def _mix(rng: np.random.Generator, ranges: list[Range]) -> Law:
    return draw_law(rng)


KINDS = {
    "gaussian": Kind((_SIGMA,), _gaussian),
    "poisson-gaussian": Kind((_GAIN, _READ), _poisson_gaussian),
    "correlated": Kind((_CORRELATED_SIGMA, _BLUR), _correlated),
    "salt-pepper": Kind((_MIXED_SIGMA, _IMPULSES), _salt_pepper),  # FITVNet's mixed noise
    "mix": Kind((), _mix),  # what the shipped weights learn from
}
REALISTIC = "realistic"  # what cameras and codecs leave, see noise/synthesis/camera.py
CODED = "coded"  # what `mix` draws, then H.264 or HEVC
RENDERED = (REALISTIC, CODED)  # made in advance, see training/footage/renditions.py


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Noise to train with: kinds with equal shares, each with ranges that laws are drawn from."""

    text: str
    parts: tuple[tuple[str, tuple[Range, ...]], ...]

    @property
    def rendered(self) -> tuple[str, ...]:
        """The kinds that a Renderer has to make; none if empty."""
        return tuple(name for name, _ in self.parts if name in RENDERED)

    def draw(self, rng: np.random.Generator) -> Law | None:
        """A law; None: take a rendition instead, of any of the kinds in `rendered`."""
        share = rng.integers(len(self.parts)) if len(self.parts) > 1 else 0
        name, ranges = self.parts[share]
        return None if name in RENDERED else KINDS[name].draw(rng, list(ranges))


def parse_noise(text: str) -> Synthetic:
    """Read a description of noise: kinds joined by "+", each with its numbers or ranges or none.

    sigma and read noise in 8-bit codes, gain per unit of signal in 0..1, blur in pixels. Raises
    UsageError for what is not known or out of range, naming the text and the choices.
    """
    parts = tuple(_part(piece.strip(), text) for piece in text.split("+"))
    return Synthetic(text, parts)


def choices() -> str:
    """Every kind as it is written, for messages and help."""
    usages = [kind.usage(name) for name, kind in KINDS.items()]
    return ", ".join([*usages, *RENDERED])


def _part(piece: str, text: str) -> tuple[str, tuple[Range, ...]]:
    name, colon, values = piece.partition(":")
    if name in RENDERED:
        parameters: tuple[Parameter, ...] = ()
    elif name in KINDS:
        parameters = KINDS[name].parameters
    else:
        raise _refused(text, f"{name or 'nothing'} is no kind of noise")
    if not colon:
        return name, tuple(p.default for p in parameters)
    given = values.split(",")
    if len(given) != len(parameters):
        raise _refused(text, _takes(name, len(parameters), len(given)))
    return name, tuple(_range(value, p, text) for value, p in zip(given, parameters, strict=True))


def _takes(name: str, wanted: int, given: int) -> str:
    if not wanted:
        return f"{name} takes no numbers"
    return f"{name} takes {wanted} number{'s'[: wanted != 1]}, not {given}"


def _range(value: str, parameter: Parameter, text: str) -> Range:
    number = r"(\d+\.?\d*(?:e-?\d+)?|\.\d+)"
    match = re.fullmatch(rf"\s*{number}(?:-{number})?\s*", value)
    if match is None:
        raise _refused(text, f"{value.strip() or 'nothing'} is no number and no range")
    low = float(match[1])
    high = float(match[2]) if match[2] is not None else low
    if low > high:
        raise _refused(text, f"{value} runs backwards")
    if not parameter.low <= low <= high <= parameter.high:
        limits = f"{parameter.low:g} to {parameter.high:g}"
        raise _refused(text, f"{value}: {parameter.name} must be from {limits}")
    return low, high


def _refused(text: str, why: str) -> UsageError:
    return UsageError(f"--synthetic {text}: {why}.", hint=f"There is {choices()}; join by +.")
