"""What a pixel was made of: filters of known networks, motion, and methods that cannot tell."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from torch import Tensor

from f2rcli.engine.stream import estimate_noise
from f2rcli.errors import InputError
from f2rcli.evaluation.explain import SIDE, Explanation, FrameFilter, explain
from f2rcli.evaluation.visuals.explain_plot import plot
from f2rcli.methods.f2r import F2R
from f2rcli.noise.model import NoiseModel
from f2rcli.window import Window
from tests.engine.conftest import engine_for, info_of, noisy_clip

udvd = pytest.importorskip("tests.methods.test_udvd", reason="it was removed")
PAIR = "f2r-rgb-light", "f2r-rgb-small"  # for light and for heavy noise
NOISE = NoiseModel.gaussian(25 / 255, 3)


def explained(folder: Path, pixel: tuple[int, int] = (40, 30), *, covariance: bool = True):
    frames = noisy_clip(5)
    engine = engine_for(
        frames, method="udvd", weights=udvd.saved(folder, udvd.header(5, covariance))
    )
    pictures = [engine.to_tensor(frame) for frame in frames]
    return explain(engine, around(pictures), pixel, NOISE), pictures


def around(pictures: list[Tensor], first: int = 0) -> Window[tuple[int, Tensor]]:
    """The window of all pictures around the one in the middle."""
    items = tuple(enumerate(pictures, first))
    half = len(items) // 2
    return Window.of(items, half)


def test_the_mean_s_filters_are_zero_at_the_pixel_itself_in_every_frame(tmp_path: Path) -> None:
    found, _ = explained(tmp_path, covariance=False)
    x, y = found.spot
    assert [f.weights[y, x] for f in found.filters] == [0] * 5
    assert all((f.weights != 0).mean() > 0.5 for f in found.filters)


def test_the_mean_is_all_frames_weighed_by_their_filters(tmp_path: Path) -> None:
    """Euler, as the network is positively homogeneous; gray, as filters are summed over colours."""
    frames = noisy_clip(5)
    engine = engine_for(frames, method="udvd", weights=udvd.saved(tmp_path, udvd.header(5, False)))
    pictures = [engine.to_tensor(f).mean(1, keepdim=True).expand(-1, 3, -1, -1) for f in frames]
    found = explain(engine, around(pictures), (40, 30), None)
    total = sum(float((f.weights * f.picture[..., 0]).sum()) for f in found.filters)
    assert total == pytest.approx(found.value[1], rel=1e-4, abs=1e-6)


def test_with_a_covariance_the_centre_gives_its_own_pixel(tmp_path: Path) -> None:
    found, pictures = explained(tmp_path)
    x, y = found.spot
    assert found.filters[2].weights[y, x] > 0
    assert found.value[0] == pytest.approx(float(pictures[2][0, :, 30, 40].mean()))


def blob(x: float, y: float) -> np.ndarray:
    rows, columns = np.indices((32, 32), np.float32)
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8).astype(np.float32)


def test_centres_move_as_the_filters_do() -> None:
    picture = np.zeros((32, 32, 3), np.float32)
    places = [(10, 12), (12, 13), (16, 11)]
    filters = tuple(FrameFilter(t, picture, blob(x, y)) for t, (x, y) in enumerate(places))
    found = Explanation((60, 70), (48, 60), 1, filters, (0.4, 0.5))
    for got, expected in zip(found.motion, [(2, 1), (4, -2)], strict=True):
        assert got == pytest.approx(expected, abs=1e-3)
    assert found.filters[0].total == pytest.approx(float(blob(10, 12).sum()))
    drawn = ElementTree.fromstring(plot(found, "clip <1>.mp4"))
    assert len(drawn.findall(".//{*}image")) == 2 * 3
    assert len(drawn.findall(".//{*}line")) == 2  # arrows
    words = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert words[0] == "clip <1>.mp4: pixel 60,70 of frame 1, noisy 102.0, restored 127.5 of 255"
    assert "moves +2.0, +1.0 px" in words
    assert words[-1] == "weight of a noisy pixel"
    assert "0" in words


def test_negative_entries_and_a_filter_of_nothing_have_no_say_in_the_centre() -> None:
    picture = np.zeros((32, 32, 3), np.float32)
    assert FrameFilter(0, picture, blob(8, 9) - 3 * blob(25, 25)).centre == pytest.approx(
        (8, 9), abs=0.1
    )
    assert np.isnan(FrameFilter(0, picture, np.zeros((32, 32), np.float32)).centre).all()


def test_a_pixel_in_a_corner_of_a_large_picture_is_followed_in_a_crop(tmp_path: Path) -> None:
    frames = noisy_clip(5, height=48, width=SIDE + 70)
    engine = engine_for(frames, method="udvd", weights=udvd.saved(tmp_path, udvd.header()))
    pictures = [engine.to_tensor(frame) for frame in frames]
    found = explain(engine, around(pictures, 10), (SIDE + 69, 0), NOISE)
    assert found.corner == (64, 0)
    assert found.spot == (SIDE + 5, 0)
    assert [f.frame for f in found.filters] == [10, 11, 12, 13, 14]


def test_a_pixel_outside_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pixel 80,0: outside"):
        explained(tmp_path, (80, 0))


def test_methods_that_align_are_followed_through_what_they_aligned() -> None:
    frames = noisy_clip(5)
    engine = engine_for(frames)
    found = explain(engine, around([engine.to_tensor(f) for f in frames]), (40, 30), NOISE)
    assert all(np.abs(f.weights).max() > 0 for f in found.filters)
    assert sum(f.total for f in found.filters) == pytest.approx(1, abs=0.25)


def test_a_result_that_is_cut_off_from_its_frames_is_said_to_be(monkeypatch) -> None:
    frames = noisy_clip(5)
    engine = engine_for(frames)
    monkeypatch.setattr(F2R, "restore", torch.no_grad()(F2R.restore))
    with pytest.raises(InputError, match="cannot be traced back"):
        explain(engine, around([engine.to_tensor(f) for f in frames]), (40, 30), NOISE)


def test_the_weights_that_denoise_such_footage_are_followed(weights_read_once: None) -> None:
    """Light noise has weights of its own; those for heavy noise were explained in their place."""
    frames = noisy_clip(7, sigma=5)
    engine = engine_for(frames, precision="fp32", threads=1)
    noise = estimate_noise(frames, info_of(frames), engine)
    window = around([engine.to_tensor(frame) for frame in frames])
    found, light, heavy = (
        explain(one, window, (20, 20), noise).value
        for one in (engine, *(engine_for(frames, weights=name) for name in PAIR))
    )
    assert found == light != heavy
