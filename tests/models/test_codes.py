"""Pictures as 16-bit codes."""

import pytest
import torch
from torch import Tensor

from f2rcli.methods.rgb_f2r.alignment import photometric
from f2rcli.models.fusion import weighted
from f2rcli.models.large import codes
from f2rcli.models.large.codes import alike, coded, difference, distance, plain

STEP = 1 / codes.SPAN


def pictures(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(len(shape))) * 1.4 - 0.2


def test_a_coded_picture_is_the_nearest_code() -> None:
    x = pictures(2, 3, 5, 7)
    back = plain(coded(x))
    assert coded(x).dtype is torch.uint16
    assert float((back - x).abs().max()) <= STEP / 2
    assert torch.equal(plain(coded(back)), back)
    assert torch.equal(coded(coded(x)), coded(x))


def test_what_lies_beyond_the_codes_becomes_the_last_of_them() -> None:
    x = torch.tensor([[[-3.0, codes.LOWEST, 0.0, 1.0, codes.HIGHEST, 9.0]]])
    ends = [codes.LOWEST, codes.LOWEST, 0, 1, codes.HIGHEST, codes.HIGHEST]
    assert plain(coded(x)).flatten().tolist() == ends


def test_pictures_follow_another_ones_kind() -> None:
    x = pictures(1, 3, 4, 4)
    assert alike(x, x) is x
    assert torch.equal(alike(x, coded(x)), coded(x))
    assert torch.equal(alike(coded(x), x), plain(coded(x)))


def test_sums_and_differences_of_codes_are_those_of_what_they_stand_for() -> None:
    one, other = coded(pictures(1, 3, 6, 8)), coded(pictures(2, 3, 6, 8)[:1])
    apart = plain(one) - plain(other)
    torch.testing.assert_close(difference(one, other), apart, rtol=0, atol=1e-7)
    torch.testing.assert_close(distance(one, other), apart.abs().mean(1), rtol=0, atol=1e-7)
    weights = torch.softmax(pictures(1, 2, 1, 6, 8), 1)
    both = torch.stack([one, other], 1)
    assert torch.equal(weighted(weights, both), weighted(weights, plain(both)))


@pytest.mark.parametrize(
    ("shape", "level", "shift", "serves"),
    [
        ((1, 3, 1000, 1000), 0.01, 0.0, True),
        ((1, 3, 999, 1000), 0.01, 0.0, False),  # small
        ((1, 3, 1000, 1000), 0.0009, 0.0, False),  # hardly any noise
        ((1, 3, 1000, 1000), 0.01, 1.6, False),  # brighter than codes go
        ((1, 3, 1000, 1000), 0.01, -1.1, False),
    ],
)
def test_large_pictures_within_the_codes_are_coded(
    shape: tuple[int, ...], level: float, shift: float, serves: bool
) -> None:
    picture = pictures(*shape) + shift
    assert codes.serve(picture, torch.full_like(picture, level)) is serves


def test_coded_neighbours_match_as_plain_ones_do() -> None:
    warped, reference = pictures(1, 2, 3, 256, 264), pictures(3, 3, 256, 264)[:1]
    found = photometric(coded(warped), coded(reference))
    torch.testing.assert_close(found, photometric(warped, reference), rtol=0.01, atol=0.01)
