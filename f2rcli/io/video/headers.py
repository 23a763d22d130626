"""What finished files state in their headers and PyAV cannot reach: aspect and HDR10 boxes."""

from pathlib import Path

from f2rcli.io.containers import matroska, mp4_boxes
from f2rcli.io.video.plan import VideoDetail


def room_for(detail: VideoDetail) -> str:
    """Padding for the track's name, whose place the statements take."""
    if detail.mastering is not None:
        return mp4_boxes.PADDING
    return matroska.PADDING if detail.patch_aspect else ""


def patch_header(path: Path, track: int, detail: VideoDetail) -> list[str]:
    """State them in a finished file; returns what could not be stated, in words.

    track: the number of the picture's track, from 0.
    """
    lost = []
    setup = detail.setup
    if detail.patch_aspect and setup.pixel_aspect is not None:
        size = setup.width, setup.height
        try:
            matroska.write_pixel_aspect(path, track, size, setup.pixel_aspect)
        except ValueError as error:  # better without than not at all
            lost.append(f"pixel aspect {setup.pixel_aspect} ({error})")
    if detail.mastering is not None:
        try:
            mp4_boxes.write_mastering(path, detail.mastering)
        except ValueError as error:
            lost.append(f"HDR10 boxes ({error})")
    return lost
