"""Noise that is made: what users may ask for, its laws, and codecs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from f2rcli.noise.synthesis.spec import NoiseSpec


def parse(text: str) -> "NoiseSpec":
    """The noise that a value of --noise asks for. Raises UsageError."""
    from f2rcli.noise.synthesis import spec

    return spec.parse(text)
