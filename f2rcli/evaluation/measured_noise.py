"""The noise of given pictures, as `f2r noise` measures it: what an estimate still has."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from f2rcli.engine.noise.measurement import measure_pictures
from f2rcli.engine.stream import EngineSettings, load_engine
from f2rcli.evaluation.base import ClipFacts
from f2rcli.evaluation.frame_set import middle_window
from f2rcli.evaluation.metrics import CHANNELS
from f2rcli.evaluation.result import WHOLE, MetricSeries
from f2rcli.frames import ClipInfo, Family, Picture, PlaneLayout
from f2rcli.noise.report import NoiseReport
from f2rcli.sensor import lowest

FRAMES = 10  # different ones that are looked at, the clip's first
REGION = (480, 640)  # rows and columns in the middle of the frame that are looked at


class NoiseLeft:
    """Keeps the first frames' middles, and measures at the end. `report` has all that was found."""

    def __init__(self, setting: ClipFacts) -> None:
        self.setting = setting
        self.frames = 0
        self.kept: list[Picture] = []
        self.report: dict[str, Any] | None = None

    def add(self, picture: Picture) -> None:
        """See the next frame."""
        self.frames += 1
        if len(self.kept) == FRAMES:
            return
        middle = np.array(picture[:, *middle_window(picture.shape[1:], REGION)], np.float32)
        if not self.kept or not np.array_equal(self.kept[-1], middle):
            self.kept.append(middle)

    def finish(self) -> MetricSeries:
        """The metric `noise_left`. Raises F2RError where no weights can measure such pictures."""
        found = measure(self.kept, self.setting)
        names = CHANNELS[len(self.kept[0])] if self.kept else ()
        self.kept = []
        clip = {WHOLE: math.nan}
        if found is not None:
            self.report = found.values()
            levels = found.model.sigma8
            clip = {WHOLE: float(np.mean(levels))}
            clip |= dict(zip(names, levels, strict=False))
        return MetricSeries(metric="noise_left", frames={WHOLE: (None,) * self.frames}, clip=clip)


def measure(pictures: list[Picture], setting: ClipFacts) -> NoiseReport | None:
    """The noise of pictures (C, H, W) that follow each other; None for too little evidence."""
    if len(pictures) < 3:
        return None
    _, height, width = pictures[0].shape
    mosaic = setting.mosaic
    family, bits = Family(setting.space.value), 32 if mosaic is None else 16
    layout = PlaneLayout(family=family, bits=bits, mosaic=mosaic)
    info = ClipInfo(
        name="clip", width=width, height=height, layout=layout, frames=len(pictures),
        duration=None, rate=None, time_base=Fraction(1, 25),
    )  # fmt: skip
    engine = load_engine(EngineSettings(device=setting.device, threads=setting.threads), info)
    measurer = engine.new_measurer()
    if measurer is None:
        return None
    channels = engine.weights.header.channels
    tensors = [
        torch.from_numpy(p)[None].expand(-1, channels, -1, -1).contiguous().to(engine.torch_device)
        for p in pictures
    ]
    return measure_pictures(tensors, measurer, floor=0.0 if mosaic is None else lowest(mosaic))
