"""Developed video taken back to the sensor: packed Bayer clips with a camera's noise law.

Unprocessing follows Brooks et al. (CVPR 2019): tone curve, colour matrix and white balance are
undone, the exposure is changed, and the mosaic is laid over the result. The noise is CRVD's
(Yue et al., CVPR 2020): DN = a Poisson(x / a) + N(0, b), rounded and clipped to the sensor's range.
Planes are in the order of `f2rcli.yuv`: R, G in red rows, B, G in blue rows, red first.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from camera import STEPS, sensor_matrix, tone_curve
from numpy.typing import NDArray

from f2rcli.frames import Codes
from f2rcli.noise.synthesis.law import Law

Packed = NDArray[np.float32]  # (T, H / 2, W / 2, 4), 0 = black, 1 = white

CRVD_BLACK, CRVD_WHITE = 240, 4095  # DN
_SPAN = CRVD_WHITE - CRVD_BLACK
# ISO -> a, gain in DN, and b, variance of the read noise in DN^2 (RViDeNet's calibration).
CRVD_ISO = {
    1600: (3.513262, 11.917691),
    3200: (6.955588, 38.117816),
    6400: (13.486051, 130.818508),
    12800: (26.585953, 484.539790),
    25600: (52.032536, 1819.818657),
}
_SLOPE, _OFFSET = 1.872, 0.059  # ln b = slope ln a + offset, fitted over the five
_WIDE = (0.4, 160.0)  # a, DN: far beyond the calibration on either side
_SPREAD = 0.5  # standard deviation of ln b around that line, for other sensors
_CRVD_SHARE = 0.5  # of the laws drawn, within the calibrated range


@dataclass(frozen=True)
class Unprocessing:
    """Settings that take a developed clip back to the sensor."""

    red: float = 1.9  # white balance, relative to green
    blue: float = 1.6
    exposure: float = 0.35  # what scene light is multiplied by; above 1 highlights saturate
    colour: float = 0.0  # share of the colour matrix: 0 none, 1 all
    contrast: float = 0.0  # share of an S curve that is undone after gamma

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Unprocessing":
        """A camera, its white balance and an exposure at random; dark ones more often."""
        return cls(
            red=float(rng.uniform(1.2, 2.6)),
            blue=float(rng.uniform(1.2, 2.4)),
            exposure=float(np.exp(rng.uniform(np.log(0.06), np.log(1.6)))),
            colour=float(rng.uniform(0, 1)),
            contrast=float(rng.uniform(0, 1)),
        )

    def sensor_light(self, frames: Codes) -> NDArray[np.float32]:
        """frames (T, H, W, 3) -> what a sensor without a mosaic would see, 0..1, of that shape."""
        linear = self._linear[frames]
        back = sensor_matrix(self.colour, self.red, self.blue)
        light = linear @ (self.exposure * back.T).astype(np.float32)
        return np.clip(light, 0, 1).astype(np.float32)

    @cached_property
    def _linear(self) -> NDArray[np.float32]:
        """8-bit codes -> linear light."""
        light = np.linspace(0, 1, STEPS)
        shown = tone_curve(light, self.contrast)
        return np.interp(np.arange(256) / 255, shown, light).astype(np.float32)


def mosaicked(light: NDArray[np.float32]) -> Packed:
    """(T, H, W, 3) -> (T, H // 2, W // 2, 4): every pixel of a mosaic sees its own colour only."""
    height, width = (size // 2 * 2 for size in light.shape[1:3])
    even = light[:, :height, :width]
    red, blue = even[:, ::2, ::2, 0], even[:, 1::2, 1::2, 2]
    greens = even[:, ::2, 1::2, 1], even[:, 1::2, ::2, 1]
    return np.stack([red, greens[0], blue, greens[1]], axis=-1)


def draw_raw_law(rng: np.random.Generator) -> Law:
    """A sensor's law: CRVD's camera at ISO 1600 to 25600, or any from daylight to ISO 50000."""
    if rng.random() < _CRVD_SHARE:
        low, high = CRVD_ISO[1600][0], CRVD_ISO[25600][0]
        spread = 0.1
    else:
        (low, high), spread = _WIDE, _SPREAD
    log_a = rng.uniform(np.log(low), np.log(high))
    log_b = _SLOPE * log_a + _OFFSET + rng.normal(0, spread)
    return calibrated(float(np.exp(log_a)), float(np.exp(log_b)))


def calibrated(a: float, b: float) -> Law:
    """The law of a calibration: variance a x + b in codes, per unit of white - black."""
    return Law(gain=a / _SPAN, read=float(np.sqrt(b)) / _SPAN)


def sense(clean: Packed, law: Law, rng: np.random.Generator) -> Packed:
    """A record of light `clean`: Poisson and read noise, rounded, clipped at code 0 and white."""
    black = CRVD_BLACK / _SPAN
    noisy = rng.poisson(np.maximum(clean, 0) / law.gain).astype(np.float32) * np.float32(law.gain)
    noisy += rng.standard_normal(clean.shape, np.float32) * np.float32(law.read)
    codes = np.rint(np.clip(noisy, -black, 1) * np.float32(_SPAN))
    return (codes / np.float32(_SPAN)).astype(np.float32)
