"""Crops of a few frames, restored with the weights before and after a run, side by side."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from f2rcli import sensor, weights, yuv
from f2rcli.engine.stream import EngineSettings, denoise_stream, load_engine
from f2rcli.frames import ClipInfo, Frame
from f2rcli.io import open_reader
from f2rcli.training.footage.sources import clip_sources
from f2rcli.training.run.config import COLOURS, TrainConfig
from f2rcli.training.run.plots import CropPicture, write_crops

LARGEST = 512  # pixels per side of what is looked at: quick, and enough for three crops
STEP = 16  # of where the cut-out lies, so that chroma and fields stay in step


def compare(config: TrainConfig, after: Path, folder: Path) -> list[Path]:
    """Write `noisy | before | after` crops of the first clip's first frames into `folder`.

    after: the run's weights; before: those it began from, left out for a run from scratch. What
    the command line would write is shown: the noise is measured on these frames alone. Raises
    what reading and loading raise.
    """
    before = config.begun_from(weights.load(str(after)).header.space)
    source = clip_sources(config.inputs)[0].source
    with open_reader(source, replace(config.read, frames=config.window)) as reader:
        frames = [_middle(frame) for frame in reader if frame.lane == 0]
        info = replace(reader.info, width=frames[0].width, height=frames[0].height)
    centre = len(frames) // 2
    named = before if config.init not in (None, *COLOURS) else None  # None: bundled as it suits
    old = None if before is None else _restored(frames, info, named, config)[centre]
    new = _restored(frames, info, str(after), config)[centre]
    return write_crops(_shown(frames[centre]), old, new, folder)


def _restored(
    frames: list[Frame], info: ClipInfo, name: str | None, config: TrainConfig
) -> list[CropPicture]:
    settings = EngineSettings(
        method=config.method, weights=name, device=config.device, precision=config.precision,
        threads=config.threads,
    )  # fmt: skip
    engine = load_engine(settings, info)
    return [_shown(frame) for frame in denoise_stream(iter(frames), info, engine)]


def _shown(frame: Frame) -> CropPicture:
    """(H, W, C); a mosaic as a quick look at half its size."""
    planes = yuv.to_rgb(frame) if frame.layout.mosaic is None else sensor.to_picture(frame)
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def _middle(frame: Frame) -> Frame:
    """The middle of a frame, at most LARGEST pixels per side."""
    top, left = (
        (max(0, side - LARGEST) // 2 // STEP * STEP) for side in (frame.height, frame.width)
    )
    shifts = [(0, 0), *[frame.layout.log2_chroma] * 2, (0, 0)][: len(frame.planes)]
    planes = tuple(
        plane[
            top >> down : (top >> down) + (LARGEST >> down),
            left >> across : (left >> across) + (LARGEST >> across),
        ]
        for plane, (across, down) in zip(frame.planes, shifts, strict=True)
    )
    return replace(frame, planes=planes)
