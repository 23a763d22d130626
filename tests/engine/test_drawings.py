"""Drawings that a codec kept exactly hold no errors, whatever its quantiser says."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from scipy.ndimage import maximum_filter

from f2rcli.engine.noise.drawings import ROOM, exact, without_drawings
from f2rcli.engine.stream import EngineSettings, denoise_stream, load_engine
from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.io import open_reader
from f2rcli.noise.measurement.blocks import side_of
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


def exact_by_definition(planes: list[np.ndarray], sigmas: list[float]) -> list[np.ndarray] | None:
    """Sample by sample, block by block."""
    side, luma, sigma = side_of(planes[0].shape), planes[0], sigmas[0]
    rows, columns = (length // side for length in luma.shape)
    steps, kept = np.zeros((2, rows, columns))
    for turned in (False, True):
        lines = luma.T if turned else luma
        for line in range(0, len(lines), 2):
            apart = np.abs(np.diff(lines[line])).tolist()
            for at, size in enumerate(apart):
                row, column = (at, line) if turned else (line, at)
                block = row // side, column // side
                if size < max(16 / 255, 3 * sigma) or block[0] >= rows or block[1] >= columns:
                    continue
                beside = [*apart[max(at - 2, 0) : at], *apart[at + 1 : at + 3]]
                steps[block] += 1
                kept[block] += max(beside) <= max(1.1 / 255, 0.35 * sigma)
    drawn = (kept >= side**2 / 64) & (kept >= 0.7 * steps)
    if not drawn.any():
        return None
    near, found = maximum_filter(drawn, 3), []
    for plane, known in zip(planes, sigmas, strict=True):
        side = side_of(plane.shape)
        factor = np.ones([length // side for length in plane.shape])
        padded = np.pad(plane, ((0, 1), (0, 1)), mode="edge")
        for row, column in np.ndindex(*factor.shape):
            block = padded[
                side * row : side * (row + 1) + 1, side * column : side * (column + 1) + 1
            ]
            apart = [np.diff(block[:-1], axis=1), np.diff(block[:, :-1], axis=0)]
            rest = [np.where(np.abs(one) >= max(16 / 255, 3 * known), 0, one) for one in apart]
            far = [
                at * have // want
                for at, have, want in zip((row, column), near.shape, factor.shape, strict=True)
            ]
            if near[tuple(far)]:
                variance = sum(np.mean(one**2) for one in rest) / 4
                factor[row, column] = min(2 * variance / known**2, 1) ** 0.5
        more = [-(-length // side) for length in plane.shape]  # parts of blocks are as those beside
        found.append(
            np.pad(
                factor, [(0, n - m) for n, m in zip(more, factor.shape, strict=True)], mode="edge"
            )
        )
    return found


@pytest.mark.parametrize("sigma8", [3.0, 8.0])
@pytest.mark.parametrize("size", [(101, 157), (144, 120), (272, 330)])
def test_where_what_is_drawn_and_how_exactly_are_by_definition(
    size: tuple[int, int], sigma8: float
) -> None:
    """Cells of steps around the least, ripples around what an area of one code may have."""
    rng = np.random.default_rng(7)
    tones = (
        16 * rng.integers(0, 9, [length // 7 + 1 for length in size]) / 8 * max(1, 3 * sigma8 / 16)
    )
    drawing = np.kron(tones, np.ones((7, 7)))[: size[0], : size[1]] + 60
    rough = rng.normal(0, 1, size) * np.linspace(0, 0.25 * max(3, sigma8), size[1])
    luma = ((drawing + rough) / 255).astype(np.float32)
    chroma = (rng.normal(0, 1, [length // 2 for length in size]) * sigma8 / 255).astype(np.float32)
    chroma *= np.linspace(0.2, 1.2, chroma.shape[1], dtype=np.float32)
    planes, sigmas = [luma, chroma], [sigma8 / 255, 1.3 * sigma8 / 255]
    wanted = exact_by_definition(planes, sigmas)
    assert wanted is not None
    for one, other in zip(exact(planes, sigmas), wanted, strict=True):
        np.testing.assert_allclose(np.array(one), other, atol=1e-4)
        assert 0.02 < np.mean(other < 1) < 0.98


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
