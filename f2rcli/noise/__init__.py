"""Noise: what is assumed about it, how it is measured from two blind anchors, how it is drawn."""

from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.model import NoiseModel, blend
from f2rcli.noise.report import NoiseReport
from f2rcli.noise.samples import NoiseSamples, single_frame_sigma

__all__ = ["NoiseLaw", "NoiseModel", "NoiseReport", "NoiseSamples", "blend", "single_frame_sigma"]
