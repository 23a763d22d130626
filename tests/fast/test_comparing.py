"""Means over cells of how far pictures differ are the same by kernels as by torch and OpenCV."""

import pytest
import torch

from f2rcli.methods.rgb_f2r import alignment
from f2rcli.methods.rgb_f2r.memory import _Pair
from f2rcli.models import memory
from f2rcli.models.large.codes import coded

pytest.importorskip("numba")
from f2rcli.fast import comparing


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_differences_are_those_of_the_reference(channels: int) -> None:
    torch.manual_seed(0)
    old, new = (_Pair(*torch.rand(2, 1, channels, 22, 34)) for _ in range(2))
    variance, count = torch.rand(1, 1, 22, 34), torch.rand(1, 1, 22, 34) * 31 + 1
    ours = comparing.differences(old, new, variance, count)
    theirs = memory._differences(old, new, variance, count, small=True)  # too small for kernels
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kind", ["plain", "codes"])
@pytest.mark.parametrize("shape", [(6, 3, 300, 260), (1, 1, 256, 256)])
def test_mismatches_are_those_of_the_reference(
    kind: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    warped, reference = torch.rand(1, *shape), torch.rand(1, *shape[1:])
    if kind == "codes":
        warped, reference = coded(warped), coded(reference)
    monkeypatch.setattr(alignment, "serve", lambda picture: True)  # not asked: that compiles more
    ours = alignment._small_mismatches(warped, reference)
    monkeypatch.setattr(alignment, "serve", lambda picture: False)
    torch.testing.assert_close(ours, alignment._small_mismatches(warped, reference))


def test_odd_pictures_are_compared_by_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "distances", None)
    assert alignment._small_mismatches(
        torch.rand(1, 2, 3, 257, 300), torch.rand(1, 3, 257, 300)
    ).any()
