"""The noise of counts: the law of photons from what adjacent frames differ by."""

from f2rcli.noise.photons.line import PhotonLine, counted_model, photon_line

__all__ = ["PhotonLine", "counted_model", "photon_line"]
