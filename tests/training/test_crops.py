"""Crops of a real clip with two sets of weights, through the engine itself."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from f2rcli import weights
from f2rcli.frames import Family, Frame, PlaneLayout, Space
from f2rcli.training.run.config import TrainConfig
from f2rcli.training.run.crops import LARGEST, _middle, compare
from tests.training.test_plots import embedded


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mkv"
    rng = np.random.default_rng(0)
    scene = np.kron(rng.random((12, 16, 3)), np.ones((8, 8, 1))) * 200
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 96, 64, "bgr0"
        for index in range(6):
            picture = scene[8:72, index : index + 96] + rng.normal(0, 20, (64, 96, 3))
            codes = picture.clip(0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(codes, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_crops_compare_two_weights_on_the_clip_itself(clip: Path, tmp_path: Path) -> None:
    name = weights.choose("f2r", Space.RGB)
    shipped = weights.load(name)
    other = tmp_path / "other.safetensors"
    weights.save(other, shipped.header, {n: 0.98 * t for n, t in shipped.tensors.items()})
    config = TrainConfig(inputs=(str(clip),), output=str(other), threads=1, adapt="full")
    crops = compare(config, other, tmp_path)
    noisy, before, after = (picture.astype(float) for picture in embedded(crops[0]))
    assert noisy.shape == (64, 64, 3)
    assert np.abs(before - after).mean() > 0.1
    assert np.abs(noisy - before).mean() > 5


def test_only_the_middle_of_large_frames_is_looked_at_with_chroma_in_step() -> None:
    row = np.arange(1000, dtype=np.uint16)
    luma = np.broadcast_to(row, (700, 1000))
    chroma = np.broadcast_to(row[:500], (350, 500))
    layout = PlaneLayout(family=Family.YUV, bits=10, log2_chroma=(1, 1))
    cut = _middle(Frame(planes=(luma, chroma, chroma), layout=layout))
    assert (cut.width, cut.height) == (LARGEST, LARGEST)
    assert cut.planes[1].shape == (LARGEST // 2, LARGEST // 2)
    assert cut.planes[0][0, 0] == 2 * cut.planes[1][0, 0]
    small = replace(cut, planes=(luma[:31, :33], chroma[:16, :17], chroma[:16, :17]))
    assert [p.shape for p in _middle(small).planes] == [(31, 33), (16, 17), (16, 17)]
