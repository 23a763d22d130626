"""The noise of given pictures, by the networks that `f2r noise` uses."""

from fractions import Fraction

import torch

from f2rcli.engine.noise.measurement import measure_pictures
from f2rcli.engine.stream import EngineSettings, load_engine
from f2rcli.evaluation.base import ClipFacts
from f2rcli.frames import ClipInfo, Family, Picture, PlaneLayout
from f2rcli.noise.report import NoiseReport
from f2rcli.sensor import lowest


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
