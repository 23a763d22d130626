"""What black cut off the noise goes with it, of what a codec smoothed afterwards as well."""

import cv2
import numpy as np
import torch

from f2rcli.engine.contract.limits import CODED
from f2rcli.engine.contract.residual import FrameContext
from f2rcli.frames import Frame
from f2rcli.noise.model import NoiseModel, PlaneNoise
from tests.engine.conftest import GRAY8, engine_for


def test_a_coded_dark_picture_loses_most_of_the_light_that_clipping_added() -> None:
    light = np.linspace(4, 24, 96 * 128).reshape(96, 128)
    clipped = np.clip(light + np.random.default_rng(0).normal(0, 25, light.shape), 0, 255)
    coded = cv2.GaussianBlur(clipped, (0, 0), 0.5)
    frame = Frame(planes=(np.rint(coded).astype(np.uint8),), layout=GRAY8)
    left = float(np.std(coded - cv2.GaussianBlur(coded, (0, 0), 4)))
    law = NoiseModel.gaussian(1.3 * left / 255, 1)  # of before black cut it, as is measured
    engine = engine_for([frame])
    known = FrameContext(noise=PlaneNoise.of(law, clipped=True), tolerance=CODED)
    change = torch.from_numpy(((light - frame.planes[0]) / 255).astype(np.float32))
    done = engine.contract.to_frame(frame, [change], known).planes[0].astype(float)
    added, stays = (part.mean() - light.mean() for part in (coded, done))
    assert added > 4
    assert abs(stays) < 0.15 * added
