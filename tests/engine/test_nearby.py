"""Texture that no two frames share is no noise: samples near each other are too much alike."""

import warnings
from dataclasses import replace

import cv2
import numpy as np
import pytest

from f2rcli.engine.noise.nearby import FAR_LESS, held_nearby, most_nearby
from f2rcli.engine.noise.opening import opening_noise
from f2rcli.frames import Family, Matrix, PlaneLayout
from f2rcli.noise.bands import white_shares
from f2rcli.noise.measurement.blocks import FramePlanes
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import Measured, PlaneNoise
from tests.engine.conftest import GRAY8, engine_for, to_frames
from tests.noise.test_bound import fireworks

SIZE = 112, 144
SIGMA = 12 / 255
ROWS, COLUMNS = np.indices(SIZE)
YUV = PlaneLayout(
    family=Family.YUV, bits=8, log2_chroma=(0, 0), full_range=True, matrix=Matrix.BT709
)


def law(*sigmas: float) -> PlaneNoise:
    models = tuple(NoiseModel.gaussian(sigma, 1) for sigma in sigmas)
    return PlaneNoise(models, (white_shares(),) * len(models), steps=(1 / 255,) * len(models))


def game(count: int, kinds: int = 12) -> np.ndarray:
    """Texels of a few brightnesses, minified without a filter as a camera turns: (T, 1, H, W)."""
    rng = np.random.default_rng(4)
    texels = (rng.random(kinds) * 0.7 + 0.15)[rng.integers(0, kinds, (128, 128))]
    shown = []
    for time in range(count):
        turn, far = 0.05 + 0.01 * time, 1.7
        across = far * (np.cos(turn) * COLUMNS + np.sin(turn) * ROWS) + 2.4 * time
        down = far * (np.cos(turn) * ROWS - np.sin(turn) * COLUMNS) + 1.1 * time
        shown.append(texels[down.astype(int) % 128, across.astype(int) % 128])
    return np.stack(shown)[:, None]


def dots() -> np.ndarray:
    """About four brightnesses, anew at every sample."""
    rng = np.random.default_rng(2)
    return rng.choice([0.3, 0.42, 0.55, 0.7], SIZE) + rng.integers(-1, 2, SIZE) / 255


def rounded(plane: np.ndarray, step: float = 1 / 255) -> FramePlanes:
    plane = (np.rint(plane / step) * step).clip(0, 1).astype(np.float32)
    return FramePlanes([plane], plane)


def factor(picture: FramePlanes, sigma: float) -> float:
    return most_nearby([picture], law(sigma))[0]


def noise(sigma: float = SIGMA, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma, SIZE)


SOFT = 0.5 + 0.2 * np.sin(COLUMNS / 19) * np.cos(ROWS / 23)
PHOTO = cv2.GaussianBlur(np.random.default_rng(3).normal(0, 1, SIZE), (0, 0), 2) * 0.3 + 0.5
NOISES = {
    "white": noise(),
    "a little blurred": cv2.GaussianBlur(noise(), (0, 0), 0.6) * 2.05,
    "long tails": np.random.default_rng(5).laplace(0, SIGMA / 2**0.5, SIZE),
    "stronger in the light": noise() * np.sqrt(SOFT / SOFT.mean()),
    "less in the middle": noise() * (0.75 + 0.5 * np.hypot(ROWS / 112 - 0.5, COLUMNS / 144 - 0.5)),
}


@pytest.mark.parametrize("scene", [SOFT, PHOTO], ids=["smooth", "textured"])
@pytest.mark.parametrize("kind", NOISES)
def test_noise_keeps_its_law(kind: str, scene: np.ndarray) -> None:
    assert factor(rounded(scene + NOISES[kind]), SIGMA) == 1


def test_samples_that_are_alike_disprove_a_law() -> None:
    """A tenth of the pairs of any block; the law is dots', and what is below them nobody knows."""
    assert factor(rounded(dots()), 0.15) < 0.2
    assert factor(rounded(dots() + noise(0.02)), 0.15) < FAR_LESS
    assert factor(rounded(dots() + noise(0.15)), 0.2) == 1  # the dots' own add to it


def test_the_law_at_the_brightness_of_each_sample_counts() -> None:
    """Dark and bright halves, each with its own noise."""
    left = COLUMNS < 72
    sigma = np.where(left, 4, 16) / 255
    curve = tuple(np.interp(np.linspace(0, 1, 17), [0.4, 0.6], [4 / 255, 16 / 255]))
    model = NoiseModel((0.0,), (0.1,), (0.1,), curve=(curve,))
    shown = rounded(np.where(left, 0.3, 0.7) + noise(1) * sigma)
    assert most_nearby([shown], replace(law(0.1), models=(model,))) == [1.0]


def test_a_part_without_noise_lowers_nothing() -> None:
    drawn = rounded(np.where(COLUMNS < 56, 0.4, 0.5 + noise()))
    clean = rounded(np.where(COLUMNS < 56, dots(), 0.5 + noise()))
    assert factor(drawn, SIGMA) == factor(clean, SIGMA) == 1


def test_where_noise_may_be_cut_off_nothing_is_told() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a law of nearly nothing, too
        assert factor(rounded(0.02 + noise()), SIGMA) == 1  # half of it is 0
        assert factor(rounded(0.98 + noise()), SIGMA) == 1  # or white
        curve = (0.1, *([0.0] * 16))
        bent = NoiseModel((0.0,), (0.1,), (0.1,), curve=(curve,))
        assert most_nearby([rounded(SOFT)], replace(law(0.1), models=(bent,))) == [1.0]


def test_where_black_holds_less_than_noise_would_leave_nothing_was_cut_off() -> None:
    """Sparks in the dark, by the law of what they differ by."""
    shown = rounded(np.pad(fireworks(1)[0][40:120, 20:140] - 0.04, 16, mode="reflect"))
    assert factor(shown, 60 / 255) < FAR_LESS


@pytest.mark.parametrize(
    "noise_law",
    [
        replace(law(0.15), steps=(0.1,)),  # of so few codes many are the same
        replace(law(0.15), shares=((0.1, 0.3, 0.3, 0.1, 0.1, 0.1),)),  # grain is alike nearby
        law(1.5 / 255),
    ],
    ids=["few codes", "coarse", "faint"],
)
def test_what_is_alike_anyway_is_not_asked(noise_law: PlaneNoise) -> None:
    assert most_nearby([rounded(dots())], noise_law) == [1.0]


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (24, 64)])
def test_small_pictures_tell_nothing(size: tuple[int, int]) -> None:
    assert factor(rounded(dots()[: size[0], : size[1]]), 0.15) == 1


@pytest.mark.parametrize(("height", "told"), [(45, False), (46, True)])
def test_two_dozen_blocks_are_enough(height: int, told: bool) -> None:
    """Six of 8 pixels beside each other, 7 from the borders, and three or four of these rows."""
    assert (factor(rounded(dots()[:height, :62]), 0.15) < FAR_LESS) == told


def test_few_codes_are_not_the_same_by_chance() -> None:
    """Noise of 1.7 steps, rounded: one pair in six is equal."""
    step = 8 / 255
    picture = rounded(0.5 + noise(1.75 * step), step)
    known = replace(law(1.75 * step), steps=(step,))
    assert most_nearby([picture], known) == [1.0]


def test_where_luma_is_texture_so_are_the_colours() -> None:
    planes = [dots(), noise(), noise(seed=2)]
    luma = np.asarray(planes[0], np.float32)
    shown = FramePlanes([np.asarray(one, np.float32) for one in planes], luma, chroma=True)
    found = Measured(NoiseModel.gaussian(0.1, 3), law(0.15, SIGMA, SIGMA), [])
    held = held_nearby(found, [shown], YUV)
    shares = [
        now.sigma[0] / before.sigma[0]
        for now, before in zip(held.planes.models, found.planes.models, strict=True)
    ]
    assert shares == pytest.approx([shares[0]] * 3)
    assert shares[0] < 0.2
    assert max(held.model.sigma) < 0.2 * 0.1
    same = FramePlanes([SOFT + planes[1], *planes[1:]], SOFT + planes[1], chroma=True)
    assert held_nearby(found._replace(planes=law(*[SIGMA] * 3)), [same], YUV).planes == law(
        *[SIGMA] * 3
    )


@pytest.mark.parametrize(("sigma", "most"), [(0, 6), (2, 12)])
def test_textures_of_a_game_are_hardly_noise(sigma: float, most: float) -> None:
    """Sampling noise: 30 of 255 by all that frames differ by."""
    clip = game(5, 6) + np.random.default_rng(1).normal(0, sigma / 255, (5, 1, *SIZE))
    frames = to_frames(clip, GRAY8)
    assert opening_noise(frames, engine_for(frames)).planes.models[0].sigma8[0] < most
