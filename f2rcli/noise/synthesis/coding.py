"""Video codecs that synthetic footage goes through."""

from dataclasses import dataclass

ENCODERS = {"h264": "libx264", "hevc": "libx265"}  # as --noise names them


@dataclass(frozen=True, slots=True)
class Coding:
    """An encoder with its settings; field by field what `f2rcli.noise.codec.coded` takes."""

    encoder: str
    preset: str
    crf: int
