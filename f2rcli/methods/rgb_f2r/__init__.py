"""F2R on RGB pictures, as it measures noise and is trained until both take planes."""

from f2rcli.methods.rgb_f2r.pipeline import F2R, F2RNetworks

__all__ = ["F2R", "METHOD", "F2RNetworks"]

METHOD = F2R
