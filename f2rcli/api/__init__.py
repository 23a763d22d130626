"""f2r from Python: `f2rcli.denoise` for whole clips, `f2rcli.Denoiser` for frames as they come.

Nothing here loads torch before there is something to denoise.
"""

from f2rcli.api.call import LaneNoise, Report
from f2rcli.api.clips import denoise
from f2rcli.api.live import Denoiser

__all__ = ["Denoiser", "LaneNoise", "Report", "denoise"]
