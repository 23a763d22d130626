"""F2R, Frames2Residual (arXiv 2603.10417): a blind temporal anchor, then a non-blind refiner."""

from f2rcli.methods.f2r.pipeline import F2R, F2RNetworks

__all__ = ["F2R", "METHOD", "F2RNetworks"]

METHOD = F2R
