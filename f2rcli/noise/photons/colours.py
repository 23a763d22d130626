"""The law of a mosaic that stands still, from what its colours differ by from frame to frame.

Anchors are pictures, and of texture that no optics blur they are poor ones: what they miss of it is
taken for noise, most in the dark. Where nothing moves, differences of frames hold noise alone. All
colours are counted by one sensor, so they share its line, unless a camera multiplied one of them.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Mosaic
from f2rcli.noise.measurement.bound import STANDS
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.photons.line import photon_line
from f2rcli.noise.planes import Measured
from f2rcli.noise.sensors import LaneLaw, sensors_of


def law_of_colours(
    frames: Sequence[Sequence[NDArray[np.float32]]], measured: Measured, mosaic: Mosaic | None
) -> NoiseModel | None:
    """The law of a mosaic's planes in place of a measured one; None where they move, or tell none.

    frames: of one shot, the planes (H, W) of each, in units of white - black.
    """
    model, bounds = measured.model, measured.bounds
    if mosaic is None or not bounds or min(bound.still for bound in bounds) < STANDS:
        return None
    spans = np.subtract(mosaic.white, mosaic.black).tolist()
    lines = [photon_line([planes[index] for planes in frames]) for index in range(len(spans))]
    found = [line for line in lines if line is not None and line.sure]
    if len(found) < len(lines):
        return None
    both = list(zip(found, spans, strict=True))
    laws = [
        LaneLaw(span * line.middle, span**2 * line.level, span * line.gain, span * line.unsure)
        for line, span in both
    ]
    gains, zeros = [line.gain for line in found], [line.zero for line in found]
    unsure = max(line.unsure / line.gain for line in found)
    for sensor, members in sensors_of(laws):
        gain, zero = sensor.line
        unsure = sensor.unsure if len(members) == len(found) else unsure
        for index in members:
            gains[index], zeros[index] = gain / spans[index], zero / spans[index]
    means = [float(np.mean([planes[n] for planes in frames])) for n in range(len(found))]
    darks = [max(zero, 0.0) for zero in zeros]
    parts = list(zip(gains, zeros, darks, means, strict=True))
    if not all(mean > zero for _, zero, _, mean in parts):
        return None
    return replace(
        model,
        gain=tuple(gains),
        read=tuple((gain * (dark - zero)) ** 0.5 for gain, zero, dark, _ in parts),
        sigma=tuple((gain * (mean - zero)) ** 0.5 for gain, zero, _, mean in parts),
        curve=None,
        dark=tuple(darks),
        unsure=unsure,
    )
