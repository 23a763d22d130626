"""Drawings that a codec kept exactly hold no errors, whatever its quantiser says."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from f2rcli.engine.noise.drawings import ROOM, exact, without_drawings
from f2rcli.engine.stream import EngineSettings, denoise_stream, load_engine
from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.io import open_reader
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise

HEIGHT, WIDTH = 192, 256
SIGMA = 6 / 255  # of the errors, as a quantiser tells it


def cells(seed: int = 2, side: int = 8) -> np.ndarray:
    """Luma of cells that are dark or bright, 0..1."""
    alive = np.random.default_rng(seed).random((HEIGHT // side, WIDTH // side)) < 0.4
    return np.kron(np.where(alive, 0.8, 0.2), np.ones((side, side))).astype(np.float32)


def scene() -> np.ndarray:
    """Soft areas with edges of two pixels, and texture."""
    rng = np.random.default_rng(3)
    coarse, fine = (cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH)), (0, 0), s) for s in (8, 1))
    field = 0.5 + 0.3 * np.tanh(9 * coarse / coarse.std()) + 0.01 * fine / fine.std()
    return field.astype(np.float32)


def factors(luma: np.ndarray, sigma: float = SIGMA) -> np.ndarray:
    (found,) = exact([luma], [sigma])
    return np.array(found)


def test_cells_of_one_code_hold_no_errors() -> None:
    assert factors(cells()).max() == 0


@pytest.mark.parametrize("turned", [False, True])
def test_only_where_a_picture_is_drawn(turned: bool) -> None:
    """Bars at one side of a plain picture, upright and lying."""
    luma = np.full((HEIGHT, WIDTH), 0.5, np.float32)
    luma[:, 200:] = np.where(np.arange(56) // 8 % 2, 0.8, 0.2)
    luma += np.random.default_rng(6).normal(0, 3 / 255, luma.shape) * (np.arange(WIDTH) < 176)
    luma = luma.astype(np.float32)
    found = factors(np.ascontiguousarray(luma.T)).T if turned else factors(luma)
    columns = np.arange(found.shape[1]) / found.shape[1] * WIDTH
    assert found[:, columns >= 216].max() == 0
    assert found[:, columns < 144].min() == 1


def test_weak_ripples_leave_as_much_room_as_they_are_strong() -> None:
    ripples = np.random.default_rng(4).normal(0, 0.5 / 255, (HEIGHT, WIDTH)).astype(np.float32)
    middle = np.median(factors(cells() + ripples))
    assert middle == pytest.approx(ROOM**0.5 * 0.5 / 6, rel=0.05)


@pytest.mark.parametrize("sigma8", [4, 8])
def test_ripples_as_strong_as_the_errors_are_left_to_the_networks(sigma8: float) -> None:
    noise = np.random.default_rng(4).normal(0, sigma8 / 255, (HEIGHT, WIDTH)).astype(np.float32)
    assert exact([cells() + noise], [SIGMA]) == ()


def test_scenes_and_blocks_of_a_codec_are_no_drawings() -> None:
    """Means of 8x8 pixels differ by steps, but a codec that leaves no more of a block leaves weak
    ones: a slope of 1.3 times its errors in 8 pixels would show."""
    soft = 0.15 * cv2.GaussianBlur(scene(), (0, 0), 6)
    coarse = cv2.resize(soft, (WIDTH // 8, HEIGHT // 8), interpolation=cv2.INTER_AREA)
    blocks = np.kron(coarse, np.ones((8, 8))).astype(np.float32)
    assert np.abs(np.diff(blocks, axis=1)).max() > 1.3 * SIGMA
    assert exact([scene()], [SIGMA]) == exact([blocks], [SIGMA]) == ()
    assert exact([np.full((HEIGHT, WIDTH), 0.5, np.float32)], [SIGMA]) == ()


def test_a_scene_beside_a_drawing_keeps_its_errors() -> None:
    both = cells()
    both[:, 128:] = scene()[:, 128:]
    found = factors(both)
    assert found[:, :7].max() == 0
    assert found[:, 9:].min() == 1


def test_colours_go_by_what_luma_shows_and_by_their_own_ripples() -> None:
    even = np.zeros((HEIGHT // 2, WIDTH // 2), np.float32)
    rough = np.random.default_rng(5).normal(0, SIGMA, even.shape).astype(np.float32)
    luma, first, second = map(np.array, exact([cells(), even, rough], [SIGMA] * 3))
    assert first.shape == second.shape == (12, 16)  # blocks of 8: few of 16 fit
    assert luma.max() == first.max() == 0
    assert second.min() == 1
    assert exact([scene(), even, rough], [SIGMA] * 3) == ()


def test_pictures_of_no_block_and_half_blocks() -> None:
    assert exact([cells()[:7, :60]], [SIGMA]) == ()
    assert factors(cells()[:100, :130]).shape == (13, 17)


def test_errors_where_a_drawing_was_kept_are_none() -> None:
    layout = PlaneLayout(family=Family.GRAY, bits=8)
    errors = PlaneNoise.of(NoiseModel.gaussian(SIGMA, 1), layout, clipped=False)
    drawn = Frame(planes=(np.rint(255 * cells()).astype(np.uint8),), layout=layout)
    filmed = Frame(planes=(np.rint(255 * scene()).astype(np.uint8),), layout=layout)
    assert np.max(without_drawings(errors, drawn).places) == 0
    assert without_drawings(errors, filmed) is errors


def test_pixel_art_after_a_codec_is_none_the_worse(tmp_path: Path) -> None:
    """Its key frame lost 6 dB."""
    path, size = tmp_path / "pixels.avi", (96, 160)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25, options={"qmin": "8", "qmax": "8"})
        stream.height, stream.width = size
        truth = []
        for index in range(3):
            luma = np.rint(255 * cells()[2 * index :, 3 * index :][: size[0], : size[1]])
            truth.append(luma.astype(np.uint8))
            even = np.full((size[0] // 2, size[1]), 128, np.uint8)
            picture = av.VideoFrame.from_ndarray(np.vstack([truth[-1], even]), "yuv420p")
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    with open_reader(str(path)) as reader:
        before = [frame.planes[0] for frame in reader]
    with open_reader(str(path)) as reader:
        engine = load_engine(EngineSettings(), reader.info)
        after = [frame.planes[0] for frame in denoise_stream(reader, reader.info, engine)]
    assert engine.noise is not None
    assert np.mean(engine.noise.sigma8) > 4
    for known, seen, left in zip(truth, before, after, strict=True):
        errors = [np.mean(np.square(known - one.astype(float))) for one in (seen, left)]
        assert errors[1] <= errors[0] + 0.05
