"""Tiles: chosen by memory, and covering the picture exactly once."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from f2rcli.engine import device as tiles

Runner = tiles.Runner
choose_tile = tiles.choose_tile
even = tiles.even
spans = tiles.spans

GIB = 2**30


def test_auto_tiles_only_what_is_large_for_the_memory() -> None:
    assert choose_tile("auto", 1080, 1920, 8 * GIB, 700) is None
    assert choose_tile("auto", 2160, 3840, 8 * GIB, 700) == 1024
    assert choose_tile("auto", 2160, 3840, 64 * GIB, 700) is None


def test_a_number_is_rounded_down_to_the_stride_and_off_means_whole() -> None:
    assert choose_tile("100", 480, 640, GIB, 700) == 96
    assert choose_tile("1000", 480, 640, GIB, 700) is None
    assert choose_tile("off", 9999, 9999, GIB, 700) is None


@pytest.mark.parametrize(
    ("size", "tile", "reach"), [(100, 64, 80), (64, 64, 8), (321, 64, 72), (5, 64, 80)]
)
def test_tiles_cover_rows_once_and_reach_on_the_stride(size: int, tile: int, reach: int) -> None:
    covered = np.zeros(size, int)
    for span in spans(size, tile, reach):
        covered[span.keep] += 1
        assert span.read.start % 8 == 0
        assert span.read.start == max(span.keep.start - reach, 0)
        assert span.read.stop == min(span.keep.stop + reach, size)
        assert span.keep.start - span.read.start == span.inner.start
    assert (covered == 1).all()


@pytest.mark.parametrize(
    ("size", "expected"), [(1080, 544), (1920, 960), (2160, 720), (1024, 1024), (5, 8), (3840, 960)]
)
def test_tiles_are_of_one_size_and_no_more_than_asked_for(size: int, expected: int) -> None:
    assert even(size, 1024, 8) == expected


class Hungry(nn.Module):
    """Gives its input back, and runs out of memory where that is large."""

    stride, reach = 8, 8

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return x


def test_out_of_memory_falls_to_smaller_tiles_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    given_back: list[bool] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: given_back.append(True))
    x = torch.rand(1, 3, 200, 320)
    run = Runner(torch.device("cpu"), "fp32", None)
    assert torch.equal(run(Hungry(most=150), x), x)
    assert run.tile == 80  # 320 -> 160 -> 80, and 8 around each
    assert len(given_back) == 2  # pieces of memory too small for what comes next
    with pytest.raises(torch.OutOfMemoryError):
        run(Hungry(most=50), x)


class Sided(nn.Module):
    """A weighted mean of pictures that tells left from right and top from bottom."""

    stride, reach = 1, 0

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        rows, columns = (torch.arange(size, dtype=torch.float32) for size in pictures.shape[-2:])
        weights = torch.arange(1.0, pictures.shape[1] + 1).view(1, -1, 1, 1, 1)
        whole = (pictures * weights).sum(1) * (1 + rows[:, None] + 7 * columns**2)
        return whole, whole[:, :1]


def test_tiles_of_pictures_with_neighbours_are_put_together() -> None:
    class Plain(Sided):
        stride, reach = 8, 8

        def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
            return pictures.mean(1), pictures

    pictures = torch.rand(1, 3, 2, 40, 72)
    mean, same = Runner(torch.device("cpu"), "fp32", 16)(Plain(), pictures)
    torch.testing.assert_close(mean, pictures.mean(1))
    assert torch.equal(same, pictures)


def test_memory_that_runs_out_halves_the_picture_or_two_default_tiles() -> None:
    seen = []

    class Greedy(Hungry):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x.shape[-1])
            return super().forward(x)

    x = torch.rand(1, 1, 8, 4400)
    run = Runner(torch.device("cpu"), "fp32", None)
    assert torch.equal(run(Greedy(most=1100), x), x)
    assert run.tile == 1024  # half of twice that
    assert seen[:2] == [4400, 888]  # five tiles of one size, and 8 pixels beyond
