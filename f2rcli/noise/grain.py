"""Film grain tables of AV1 (`filmgrn1`): the measured noise, which decoders draw anew.

SVT-AV1 (`fgs-table`), aomenc and FFmpeg's libaom-av1 (`film-grain-table=`) read them. Denoised
and encoded with its table a clip looks as grainy as it was, for a fraction of the bits. Drawn by
dav1d, grain of a drawn clip has the true strength within a tenth at every brightness.
"""

import math
from functools import cache

import numpy as np

from f2rcli.frames import PlaneLayout
from f2rcli.noise.model import PlaneNoise, shares_of

_TEMPLATE = 32.0  # standard deviation, in 8-bit codes, of the noise that the format draws from
_STEP = 2  # of a curve's 17 knots every other one: the format takes 14 points of luma, 10 of chroma
_BITS = 7  # binary digits of its coefficients, -1 up to 1
_CORRELATIONS = [n / 20 for n in range(19)]  # with the next sample, up to 0.9


def grain_table(noise: PlaneNoise, layout: PlaneLayout) -> str:
    """The table of the noise of Y'CbCr video: its strength in every plane where luma is as bright,
    and how coarse it is."""
    black, spans = (0, (255, 255, 255)) if layout.full_range else (16, (219, 224, 224))
    coarse = [_correlation(finest) for finest, *_ in noise.shares]
    gains = [1 / (1 - a**2) for a in coarse]  # of the filter that makes it so coarse
    halved = max(0, math.ceil(math.log2(3 * _TEMPLATE * max(gains) / 127)))  # 127: its largest
    drawn = [_TEMPLATE * gain / 2**halved for gain in gains]
    curves = [
        [span * sigma for sigma in knots[::_STEP]]
        for knots, span in zip(noise.model.at_knots(), spans, strict=True)
    ]
    most = max(max(curve) / one for curve, one in zip(curves, drawn, strict=True))
    shift = next((bits for bits in (11, 10, 9) if most * 2**bits < 255.5), 8)
    lines = [
        "filmgrn1",
        "E 0 9223372036854775807 1 7391 1",  # all the time, from any seed
        f"\tp 1 {_BITS} {halved} {shift} 0 1 128 192 256 128 192 256",  # chroma's by luma, too
    ]
    for name, curve, one in zip(("Y", "Cb", "Cr"), curves, drawn, strict=True):
        places = np.rint(np.linspace(black, black + spans[0], len(curve))).astype(int)
        levels = np.rint(np.array(curve) * 2**shift / one).clip(0, 255).astype(int)
        points = " ".join(f" {x} {y}" for x, y in zip(places, levels, strict=True))
        lines.append(f"\ts{name} {len(curve)} {points}")
    for name, a, luma in zip(("Y", "Cb", "Cr"), coarse, ("", " 0", " 0"), strict=True):
        weights = (-(a**2), a, 0.0, a)  # of three samples in the row above, and the one before
        lines.append(f"\tc{name} {' '.join(str(round(w * 2**_BITS)) for w in weights)}{luma}")
    return "\n".join(lines) + "\n"


def _correlation(finest: float) -> float:
    """The correlation a of neighbours, a^(|x| + |y|) farther off, of noise that has this share of
    its variance in its finest band."""
    shares = _finest_shares()
    return float(np.interp(finest, shares[::-1], _CORRELATIONS[::-1]))


@cache
def _finest_shares() -> list[float]:
    shares = []
    for a in _CORRELATIONS:
        impulse = np.zeros((257, 257), np.float32)
        decay = a ** np.arange(129.0)
        impulse[128:, 128:] = np.outer(decay, decay)
        shares.append(shares_of(impulse)[0])
    return shares
