"""What black cut off the noise goes with it, of what a codec smoothed afterwards as well."""

import cv2
import numpy as np
import torch

from f2rcli.engine.contract.limits import CODED
from f2rcli.engine.contract.residual import FrameContext
from f2rcli.frames import Frame
from f2rcli.noise.model import NoiseModel, PlaneNoise
from tests.engine.conftest import GRAY8, YUV420, denoised, engine_for


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


def test_colours_that_nothing_cut_off_keep_their_mean() -> None:
    """A tape's noise comes to Y'CbCr, and takes bright colours beyond white in R, G and B."""
    light, rng = np.linspace(190, 222, 128 * 192).reshape(128, 192), np.random.default_rng(0)
    clean = light, np.full((64, 96), 120.0), np.full((64, 96), 134.0)
    frames = [
        Frame(
            planes=tuple(
                np.rint(plane + rng.normal(0, sigma, plane.shape)).astype(np.uint8)
                for plane, sigma in zip(clean, (3, 12, 12), strict=True)
            ),
            layout=YUV420,
            pts=t,
        )
        for t in range(6)
    ]
    done, _ = denoised(frames)
    for index, plane in enumerate(clean):
        noisy, restored = (
            np.mean([one.planes[index] for one in some], 0) - plane for some in (frames, done)
        )
        assert abs(noisy.mean()) < 0.1
        assert abs(restored.mean()) < 0.15
