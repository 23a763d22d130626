"""The protocol of synthetic noise, for those that only add it."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from f2rcli.frames import ClipInfo, Frame


class Noise(Protocol):
    """Noise made on the spot: `f2rcli.noise.synthesis.spec.parse("gaussian:30")` gives one."""

    @property
    def name(self) -> str:
        """As --noise took it, in its canonical form: "gaussian:30"."""
        ...

    @property
    def title(self) -> str:
        """For people: "white Gaussian, sigma 30 of 255"."""
        ...

    def add(
        self, frames: Iterable[Frame], info: ClipInfo, *, seed: int, clipped: bool
    ) -> tuple[ClipInfo, Iterator[Frame]]:
        """The noisy clip's facts and its frames, one for one, the same for the same seed.

        frames: RGB or GRAY as float32 samples in 0..1 (layout of 32 bits), or a mosaic in its
        own codes. Gives, if not `clipped`, float32 samples that may lie outside 0..1; if
        `clipped`, what a file holds: 8-bit samples, rounded once. Mosaics stay mosaics in codes.
        Compressed noise gives what its decoder gives (8-bit Y'CbCr 4:2:0), whatever `clipped`
        says. A noisy clip that is smaller (4:2:0 wants even sizes) is compared from the upper
        left corner.
        """
        ...
