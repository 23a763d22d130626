"""Frames that come twice, as conversion to another frame rate makes them, after a codec wrote them:
their noise is that of their originals, and their samples are not."""

from pathlib import Path

import numpy as np
import pytest

from f2rcli import weights
from tests.engine.test_picture import HEIGHT, WIDTH, gray, luma_of
from tests.fidelity import footage
from tests.fidelity.footage import Clip, psnr

pytestmark = pytest.mark.skipif(not weights.available(), reason="no weights are bundled")
CODECS = {"mpeg4": {"qmin": "6", "qmax": "6"}, "libx264": {"crf": "24"}}


@pytest.mark.parametrize("order", [(0, 0, 1, 1, 2, 2, 3, 3, 4, 4), (0, 1, 1, 2, 3, 4, 4)])
@pytest.mark.parametrize("codec", CODECS)
def test_noise_goes_as_if_all_came_once(codec: str, order: tuple[int, ...], tmp_path: Path) -> None:
    clip = footage.leaves(HEIGHT, WIDTH, 5, seed=2, sky=True)
    noisy = footage.noisy(clip, 12, 3)
    once = footage.write(tmp_path / "once.mkv", noisy, codec, **CODECS[codec])
    again = footage.write(tmp_path / "again.mkv", [noisy[n] for n in order], codec, **CODECS[codec])
    seen = gray(footage.read(again))
    copies = [(seen[at], seen[at - 1]) for at in range(1, len(order)) if order[at] == order[at - 1]]
    assert not all(np.array_equal(*pair) for pair in copies)  # or nothing is tried
    done = psnr(luma_of(again), gray(clip)[list(order)])
    assert done > psnr(luma_of(once), gray(clip)) - 0.7


def almost_twice(clip: Clip, sigma: float) -> Clip:
    """Noise that every second frame has again, but for a code here and there."""
    rng, last, found = np.random.default_rng(4), list[np.ndarray](), list[list[np.ndarray]]()
    for at, planes in enumerate(clip):
        again = at % 2 == 1
        last = last if again else [rng.normal(0, sigma, plane.shape) for plane in planes]
        rest = [again * (rng.random(plane.shape) < 0.05) for plane in planes]
        found.append([sum(three).clip(1, 254) for three in zip(planes, last, rest, strict=True)])  # type: ignore[call-overload]
    return found


def test_what_moves_before_copies_of_noise_goes_on_moving(tmp_path: Path) -> None:
    still = footage.leaves(HEIGHT, WIDTH, 1, seed=1)[0]
    clip = [[plane.copy() for plane in still] for _ in range(12)]
    places = [np.s_[40:52, 20 + 6 * at : 32 + 6 * at] for at in range(12)]
    for planes, place in zip(clip, places, strict=True):
        planes[0][place] = 250 - planes[0][place]
    done = luma_of(footage.write(tmp_path / "moves.mkv", almost_twice(clip, 8)))
    for at in range(1, 12):
        place = places[at]
        now, before = (psnr(done[at][place], one[0][place]) for one in (clip[at], clip[at - 1]))
        assert now > before + 6, at


def test_a_calm_shot_after_noisy_copies_is_none(tmp_path: Path) -> None:
    clip = footage.leaves(HEIGHT, WIDTH, 12, seed=1)
    noisy = almost_twice(clip[:6], 20)
    calm = footage.noisy([[0.3 * y + 150, *rest] for y, *rest in clip[6:]], 3, 5)
    done = luma_of(footage.write(tmp_path / "both.mkv", noisy + calm))
    alone = luma_of(footage.write(tmp_path / "calm.mkv", calm))
    assert psnr(done[6:], alone) > 45
