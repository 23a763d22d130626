"""The blind score, against the error that the clean frames tell."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import f2rcli
from f2rcli.errors import InputError, UsageError

Frames = NDArray[np.float32]
EXAMPLE = Path(__file__).parents[2] / "examples" / "noisy_path_lossless.mkv"


def scene(frames: int = 6) -> NDArray[np.float64]:
    """Blocks and waves that move, in 0.25..0.75."""
    rows, columns = np.mgrid[:128, :160]
    found = []
    for t in range(frames):
        blocks = ((rows // 16 + (columns + 2 * t) // 16) % 3) / 3
        found.append(0.3 + 0.3 * blocks + 0.1 * np.sin((columns + 2 * t + rows) / 7))
    return np.stack(found)


def noisy(clean: NDArray[np.float64], sigma8: float, seed: int = 0) -> Frames:
    grain = np.random.default_rng(seed).normal(0, sigma8 / 255, clean.shape)
    return (clean + grain).astype(np.float32)


def blur(width: float) -> Callable[[Frames], Frames]:
    return lambda frames: np.stack([cv2.GaussianBlur(one, (0, 0), width) for one in frames])


@pytest.fixture(scope="module")
def scores() -> dict[float, tuple[f2rcli.Score, float]]:
    """The score of blurs by width, and their true squared error in 8-bit codes."""
    clean, found = scene(), {}
    for width in (0.5, 1.0, 3.0):
        results = []

        def denoise(frames: Frames, width: float = width, results: list = results) -> Frames:
            results.append(blur(width)(frames))
            return results[0]

        score = f2rcli.judge(denoise, noisy(clean, 15))
        found[width] = score, 255**2 * float(np.mean((results[0] - clean) ** 2))
    return found


def test_the_error_is_that_to_the_clean_frames_within_its_doubt(scores) -> None:
    for score, true in scores.values():
        assert score.error8 == pytest.approx(true, abs=score.doubt8 + 0.03 * true)
        assert score.sigma8 == pytest.approx(15, rel=0.05)
        assert score.gain == pytest.approx(score.psnr - 10 * np.log10(255**2 / score.noisy8))


def test_which_of_two_is_better_is_told_whatever_is_known_of_the_noise(scores) -> None:
    (narrow, true_narrow), (middle, true_middle), (wide, true_wide) = scores.values()
    for worse, true in ((narrow, true_narrow), (wide, true_wide)):
        gain, spread = middle.better_than(worse)
        assert gain == pytest.approx(true - true_middle, abs=2 * spread + 2)
        assert gain > 2 * spread
    assert abs(narrow.better_than(wide)[0]) < 20  # hardly different, and said to be


def test_noise_that_one_of_two_lets_through_is_as_unsure_as_its_strength() -> None:
    """Grain wider than is measured well: the clean clip lost by twelve standard errors."""
    clean = scene()
    grain = blur(1.5)(np.random.default_rng(0).normal(0, 1, clean.shape))
    clip = (clean + 0.06 * grain / grain.std()).astype(np.float32)
    truth, mixed = (
        f2rcli.judge(lambda y, share=share: clean + share * (y - clean), clip)
        for share in (0.0, 0.3)
    )
    assert (truth.passed, mixed.passed) == pytest.approx((0, 0.3), abs=0.05)
    gain, spread = truth.better_than(mixed)
    assert gain == pytest.approx((0.3 * 0.06 * 255) ** 2 * 1.25, abs=2 * spread)


def test_whole_numbers_are_shown_on_their_own_scale_and_colours_stay_last() -> None:
    clean = np.repeat(scene(4)[..., None], 3, axis=3)
    codes = np.rint(255 * noisy(clean, 20)).clip(0, 255).astype(np.uint8)
    seen = []

    def denoise(frames: Frames) -> Frames:
        seen.append(frames)
        return frames

    score = f2rcli.judge(denoise, codes)
    (frames,) = seen
    assert frames.shape == codes.shape
    assert frames.dtype == np.float32
    assert frames.mean() == pytest.approx(codes.mean(), rel=0.01)
    added = (frames - codes).std()
    assert added == pytest.approx(score.sigma8 / 2, rel=0.05)  # a little noisier
    assert score.gain == pytest.approx(0, abs=0.2)


def test_where_black_cut_the_noise_off_nothing_is_judged() -> None:
    clean = scene(4)
    clean[:, :32] = 0
    whole = noisy(clean, 20)
    codes = np.rint(255 * whole).clip(0, 255).astype(np.uint8)
    cut, free = (f2rcli.judge(blur(0.7), clip) for clip in (codes, whole))
    assert np.isnan(cut.blocks).mean() == pytest.approx(1 / 4, abs=0.1)  # the upper quarter
    assert not np.isnan(free.blocks).any()


def test_what_goes_beyond_white_was_not_cut_off() -> None:
    clip = noisy(0.45 + scene(), 25)
    assert f2rcli.judge(blur(1), clip).sigma8 == pytest.approx(25, rel=0.06)


def test_a_file_is_judged_from_black_to_white() -> None:
    score = f2rcli.judge(blur(0.6), EXAMPLE)
    assert score.gain > 1


@pytest.mark.parametrize(
    ("clip", "words"),
    [
        (np.zeros((8, 8)), "neither"),
        (np.full((5, 64, 64), 0.5, np.float32), "noise cannot be measured"),
        (np.full((5, 64, 64), np.nan, np.float32), "NaN"),
        (np.full((5, 64, 64), 99, np.float32), "above white"),
    ],
)
def test_what_cannot_be_judged_is_one_clear_line(clip: Frames, words: str) -> None:
    with pytest.raises((InputError, UsageError), match=words) as caught:
        f2rcli.judge(blur(1), clip)
    assert "\n" not in str(caught.value)
    assert "cannot" not in words or "white=" in str(caught.value.hint)


def test_noise_that_frames_keep_is_not_judged() -> None:
    """A mean over frames beat a blur there, by half of the error that it had."""
    kept = noisy(np.zeros((6, 128, 160)), 15)
    for frame, before in zip(kept[1:], kept, strict=False):
        frame[:] = 0.6 * before + 0.8 * frame
    with pytest.raises(InputError, match="share noise") as caught:
        f2rcli.judge(blur(1), (scene() + kept).astype(np.float32))
    assert "neither compressed nor denoised" in str(caught.value.hint)


def test_a_function_that_returns_something_else_is_told_so() -> None:
    clip = noisy(scene(3)[:, :64, :64], 15)
    for other in (lambda x: x[:1], lambda x: (x, 1), lambda x: None, lambda x: x + 1j):
        with pytest.raises(UsageError, match="returned"):  # and no error of NumPy's
            f2rcli.judge(other, clip)
    with pytest.raises(UsageError, match="returned NaN"):  # one sample of it was passed over
        f2rcli.judge(lambda x: np.where(x == x[0, 0, 0], np.nan, x), clip)


def test_scores_of_different_clips_are_not_compared() -> None:
    clean = scene(3)[:, :64, :64]
    one, other = (f2rcli.judge(blur(1), noisy(clean, 15, s)) for s in (0, 1))
    with pytest.raises(UsageError, match="different clips"):
        one.better_than(other)
