"""What --noise takes: `gaussian:30`, `poisson-gaussian:0.01,4`, `mix`, `correlated:30,0.8`,
`compressed:30,23`, and the short names of the project's tables: g30, pg, sp, corr30, h264, h264_20.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from f2rcli.errors import UsageError, nearest
from f2rcli.noise.synthesis import laws
from f2rcli.noise.synthesis.base import Noise
from f2rcli.noise.synthesis.stream import ENCODERS, Added, Compressed


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that a kind of noise takes."""

    name: str
    low: float
    high: float
    default: float


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of noise: its numbers in the order they are written, and what makes it of them."""

    parameters: tuple[Parameter, ...]
    make: Callable[..., Noise]
    words: tuple[str, ...] = ()  # one of which may follow the numbers; the first is assumed

    def usage(self, name: str) -> str:
        """How it is written, with what is assumed."""
        values = [f"{p.default:g}" for p in self.parameters] + list(self.words[:1])
        return f"{name}:{','.join(values)}" if values else name


def parse(text: str) -> Noise:
    """The noise that a text describes: a kind, its numbers or none, or a short name.

    sigma and read noise in 8-bit units, gain per unit of signal in 0..1, blur in pixels. Raises
    UsageError for what is not known or out of range, naming the text and the choices.
    """
    name, colon, values = _lengthened(text.strip()).partition(":")
    if name not in KINDS:
        raise UsageError(
            f"--noise {text}: {name or 'nothing'} is no kind of noise.",
            hint=f"{nearest(name, list(KINDS))} Written as {choices()}.",
        )
    kind = KINDS[name]
    given = values.split(",") if colon else []
    words = [given.pop().strip()] if given and given[-1].strip() in kind.words else kind.words[:1]
    if len(given) > len(kind.parameters):
        raise _refused(text, kind.usage(name), f"{name} takes {_count(len(kind.parameters))}")
    numbers = [
        _number(text, kind.usage(name), given[i], p) if i < len(given) else p.default
        for i, p in enumerate(kind.parameters)
    ]
    return kind.make(*numbers, *words)


def choices() -> str:
    """Every kind as it is written, for messages and help."""
    return ", ".join(kind.usage(name) for name, kind in KINDS.items())


def _gaussian(sigma: float) -> Noise:
    return Added(
        f"gaussian:{sigma:g}", f"white Gaussian, sigma {sigma:g} of 255", f"g{sigma:g}",
        laws.gaussian(sigma / 255), sigma,
    )  # fmt: skip


def _poisson_gaussian(gain: float, read: float) -> Noise:
    name = f"poisson-gaussian:{gain:g},{read:g}"
    title = f"Poisson-Gaussian, variance {gain:g} x + ({read:g}/255)^2"
    key = "pg" if (gain, read) == (0.01, 4) else name
    return Added(name, title, key, laws.poisson_gaussian(gain, read / 255))


def _mix() -> Noise:
    title = "Gaussian, sigma 25.5 of 255, and 10 % salt and pepper (FITVNet's mix)"
    return Added("mix", title, "sp", laws.mix)


def _correlated(sigma: float, blur: float) -> Noise:
    name = f"correlated:{sigma:g},{blur:g}"
    title = f"Gaussian blurred by {blur:g} px, sigma {sigma:g} of 255"
    key = f"corr{sigma:g}" if blur == 0.8 else name
    return Added(name, title, key, laws.correlated(sigma / 255, blur), sigma, mosaics=False)


def _compressed(sigma: float, crf: float, codec: str) -> Noise:
    name = f"compressed:{sigma:g},{crf:g}" + ("" if codec == "h264" else f",{codec}")
    short = "h264" if sigma == 30 else f"h264_{sigma:g}"
    key = short if (crf, codec) == (23, "h264") else name
    added = Added(name, "", key, laws.gaussian(sigma / 255))
    coder = {"h264": "H.264", "hevc": "HEVC"}[codec]
    title = f"white Gaussian, sigma {sigma:g} of 255, then {coder} at crf {crf:g}"
    return Compressed(name, title, added, round(crf), codec)


_SIGMA = Parameter("sigma in 8-bit units", 0, 255, 30)
_GAIN = Parameter("gain, variance per unit of signal,", 0, 1, 0.01)
_READ = Parameter("read noise in 8-bit units", 0, 255, 4)
_BLUR = Parameter("blur in pixels", 0.1, 5, 0.8)
_CRF = Parameter("constant rate factor", 0, 51, 23)

KINDS = {
    "gaussian": Kind((_SIGMA,), _gaussian),
    "poisson-gaussian": Kind((_GAIN, _READ), _poisson_gaussian),
    "mix": Kind((), _mix),
    "correlated": Kind((_SIGMA, _BLUR), _correlated),
    "compressed": Kind((_SIGMA, _CRF), _compressed, tuple(ENCODERS)),
}
# Short names and what they stand for; NN is sigma.
SHORT = (
    (re.compile(r"g(\d+\.?\d*)"), "gaussian:{}"),
    (re.compile(r"pg()"), "poisson-gaussian"),
    (re.compile(r"sp()"), "mix"),
    (re.compile(r"corr(\d+\.?\d*)"), "correlated:{}"),
    (re.compile(r"h264()"), "compressed"),
    (re.compile(r"h264_(\d+\.?\d*)"), "compressed:{}"),
)


def _lengthened(text: str) -> str:
    for pattern, long in SHORT:
        match = pattern.fullmatch(text)
        if match:
            return long.format(match[1])
    return text


def _number(text: str, usage: str, value: str, parameter: Parameter) -> float:
    try:
        number = float(value)
    except ValueError:
        raise _refused(text, usage, f"{value.strip() or 'nothing'} is no number") from None
    if not parameter.low <= number <= parameter.high:  # not a number fails as well
        limits = f"{parameter.low:g} to {parameter.high:g}"
        raise _refused(text, usage, f"{parameter.name} must be from {limits}")
    return number


def _refused(text: str, usage: str, why: str) -> UsageError:
    return UsageError(f"--noise {text}: {why}.", hint=f"Write {usage}, for example.")


def _count(numbers: int) -> str:
    return "no numbers" if not numbers else f"at most {numbers} number{'s'[: numbers != 1]}"
