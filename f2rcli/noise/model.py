"""The strength of noise at every brightness: a line in variance, or a curve where no line fits."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from f2rcli.frames import Floats
from f2rcli.models.constants import kept

KNOTS = 17  # of a level curve, evenly spaced over 0..1

NoiseCurve = tuple[float, ...]  # standard deviations at the knots


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """Noise with variance gain * x + read^2 in every channel, x in 0..1 (Foi et al., TIP 2008),
    or with the standard deviations of a curve, linear between its knots.

    Where a file's zero is not the sensor's black, x counts from `dark`, and is 0 below it.

    sigma is its root mean square over the picture it was measured on, in units of white - black.
    All of it means the noise before a file's range clipped it.
    """

    gain: tuple[float, ...]
    read: tuple[float, ...]
    sigma: tuple[float, ...]
    samples: int = 0  # how many pixels were looked at; 0 for a declared model
    curve: tuple[NoiseCurve, ...] | None = None  # per channel; None where the line is believed
    dark: tuple[float, ...] = ()  # per channel, signal that light adds to; empty for 0
    unsure: float = 0.0  # standard error of the gains, as a share of them; 0 where it is not known

    @classmethod
    def gaussian(cls, sigma: float, channels: int) -> "NoiseModel":
        """The same white noise in every channel."""
        same = (sigma,) * channels
        return cls((0.0,) * channels, same, same)

    @property
    def sigma8(self) -> tuple[float, ...]:
        """sigma in 8-bit codes, as the command line speaks of it."""
        return tuple(255 * sigma for sigma in self.sigma)

    def scaled(self, *factors: float) -> "NoiseModel":
        """The model of noise scaled by a factor: all of it, or channel by channel."""
        by = factors * len(self.gain) if len(factors) == 1 else factors
        curves = None
        if self.curve is not None:
            pairs = zip(self.curve, by, strict=True)
            curves = tuple(tuple(sigma * f for sigma in curve) for curve, f in pairs)
        return NoiseModel(
            tuple(g * f**2 for g, f in zip(self.gain, by, strict=True)),
            tuple(r * f for r, f in zip(self.read, by, strict=True)),
            tuple(s * f for s, f in zip(self.sigma, by, strict=True)),
            self.samples,
            curves,
            self.dark,
            self.unsure,
        )

    def first_channels(self, channels: int) -> "NoiseModel":
        """The model of the first so many channels."""
        return self.of(slice(channels))

    def of(self, chosen: slice) -> "NoiseModel":
        """The model of some channels."""
        curve = None if self.curve is None else self.curve[chosen]
        parts = (self.gain[chosen], self.read[chosen], self.sigma[chosen])
        return NoiseModel(*parts, self.samples, curve, self.dark[chosen], self.unsure)

    @property
    def pedestal(self) -> tuple[float, ...]:
        """`dark` of every channel."""
        return self.dark or (0.0,) * len(self.gain)

    def at_knots(self) -> tuple[NoiseCurve, ...]:
        """The curve, or the line as one."""
        if self.curve is not None:
            return self.curve
        places = torch.linspace(0, 1, KNOTS, dtype=torch.float64)
        return tuple(
            tuple((g * (places - d).clamp_min(0) + r**2).sqrt().tolist())
            for g, r, d in zip(self.gain, self.read, self.pedestal, strict=True)
        )

    def in_codes(self, levels: tuple[float, float]) -> str:
        """Standard deviations at three codes between the levels of black and white, and the line
        of the variance if it is one, its slope with its standard error where that is known, as
        text; the mean of the channels."""
        black, span = levels[0], levels[1] - levels[0]
        knots = self.at_knots()
        last = len(knots[0]) - 1
        digits = 2 - math.floor(math.log10(span))
        words = []
        for place in (0.25, 0.5, 0.75):
            sigma = span * sum(curve[round(place * last)] for curve in knots) / len(knots)
            words.append(f"{sigma:.3g} at {round(black + place * span, max(digits, 0)):.5g}")
        curve = f"sigma {', '.join(words)}"
        gain, read, dark = (sum(part) / len(part) for part in (self.gain, self.read, self.pedestal))
        if self.curve is not None or not gain:
            return curve
        offset = black + span * (dark - read**2 / gain)
        sign = "+" if offset < 0 else "-"
        error = f" +- {self.unsure * gain * span:.2g}" if self.unsure else ""
        return f"{curve}; variance {gain * span:.3g}{error} x (code {sign} {abs(offset):.4g})"

    def level(self, signal: Tensor) -> Tensor:
        """signal (B, C, H, W) -> the noise's standard deviation at every sample."""
        if self.curve is None:
            line = (self.gain, self.read, self.pedestal)
            gain, read, dark = (kept(part, signal).view(1, -1, 1, 1) for part in line)
            return (gain * (signal.clamp(0, 1) - dark).clamp_min(0) + read**2).sqrt()
        place = signal.clamp(0, 1) * (KNOTS - 1)
        below = place.floor().clamp_max(KNOTS - 2)
        share = place - below
        planes = []
        for channel, curve in enumerate(self.curve):
            knots, index = kept(curve, signal), below[:, channel].int().flatten()
            low, step = (part.index_select(0, index) for part in (knots[:-1], knots.diff()))
            planes.append(
                torch.addcmul(low, share[:, channel].flatten(), step).view_as(below[:, 0])
            )
        return torch.stack(planes, 1)


def blend(old: NoiseModel, new: NoiseModel, share: float) -> NoiseModel:
    """The old model moved towards the new one by `share` of the way, in variance."""

    def mix(a: tuple[float, ...], b: tuple[float, ...], power: int) -> tuple[float, ...]:
        return tuple(
            ((1 - share) * x**power + share * y**power) ** (1 / power)
            for x, y in zip(a, b, strict=True)
        )

    curve = None
    if old.curve is not None or new.curve is not None:
        pairs = zip(old.at_knots(), new.at_knots(), strict=True)
        curve = tuple(mix(a, b, 2) for a, b in pairs)
    return NoiseModel(
        mix(old.gain, new.gain, 1),
        mix(old.read, new.read, 2),
        mix(old.sigma, new.sigma, 2),
        old.samples + new.samples,
        curve,
        mix(old.pedestal, new.pedestal, 1) if old.dark or new.dark else (),
        max(old.unsure, new.unsure),
    )


def at_levels(model: NoiseModel, levels: Floats) -> Floats:
    """The standard deviation of a law of one channel at some brightnesses (N,)."""
    signal = torch.from_numpy(levels)[None, None, None]
    found: Floats = model.level(signal)[0, 0, 0].numpy()
    return found
