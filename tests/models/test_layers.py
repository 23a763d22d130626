"""Networks: homogeneous, local, and the same in any tile."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from f2rcli.models import filters
from f2rcli.models import layers as fused
from f2rcli.models.filters import box
from f2rcli.models.planar import CONFIGS, Networks, Trunk
from f2rcli.planes import LAYOUTS


def loud(network: torch.nn.Module) -> torch.nn.Module:
    """Untrained networks start near zero; make every convolution count."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.7 / parameter[0].numel() ** 0.5)
    return network.eval()


def trunk() -> Trunk:
    made = loud(Trunk((8, 8, 8)))
    assert isinstance(made, Trunk)
    return made


@torch.no_grad()
def test_no_input_beyond_the_reach_matters_and_the_reach_is_no_larger_than_a_stride_more() -> None:
    network = trunk().double()
    reach = network.reach
    side = 2 * reach // 8 * 8 + 48
    picture = torch.rand(1, 8, side, side, dtype=torch.float64)
    changed = picture.clone()
    changed[..., :8, :8] += 1
    apart = (network(picture.clone()) - network(changed)).abs().amax((0, 1))
    assert apart[8 + reach :].max() == 0
    assert apart[:, 8 + reach :].max() == 0
    assert apart[8 + reach - 2 * network.stride :].max() > 0


@pytest.mark.parametrize("size", CONFIGS)
@torch.no_grad()
def test_no_sample_beyond_the_reach_of_the_coarse_network_matters(size: str) -> None:
    network = loud(Networks({**CONFIGS[size], "layouts": ["gray"]}).coarse).double()
    reach, stride, layout = network.reach, network.stride, LAYOUTS["gray"]
    side = -(-(reach + 24) // stride) * stride
    noisy, told = torch.rand(1, 4, 16, side).double(), torch.rand(1, 2, 16, side).double()
    changed = noisy.clone()
    changed[..., :8] += 1
    one, other = (network(layout, x, told) for x in (noisy, changed))
    assert (one - other)[..., 8 + reach :].abs().max() == 0
    assert (one - other).abs().max() > 0


@torch.no_grad()
def test_a_trunk_says_the_same_with_and_without_gradients() -> None:
    network, picture = trunk(), torch.rand(1, 8, 16, 24)
    found = network(picture.clone())
    with torch.enable_grad():
        plain = network(picture.clone()).detach()
    torch.testing.assert_close(found, plain)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_pass_after_a_convolution(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    network, picture = trunk(), torch.rand(1, 8, 16, 24)
    with torch.inference_mode(), torch.autocast("cpu", dtype, enabled=dtype is not torch.float32):
        found = network(picture.clone()).float()
        monkeypatch.setattr(fused, "works", lambda _: False)
        wanted = network(picture.clone()).float()
    close = 1e-5 if dtype is torch.float32 else 0.03
    torch.testing.assert_close(found, wanted, rtol=0, atol=close * float(wanted.abs().max()))


HALVED = """
import torch
from f2rcli.models.layers import Down
for width in (2, 3, 4):
    down, picture = Down(48, 96), torch.rand(1, 48, 126, width)
    low = picture.bfloat16().contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for size in range(8, 18):
            torch.full((2**size,), torch.nan, dtype=torch.bfloat16)  # left behind for the next
        found = down(low).float()
    torch.testing.assert_close(found, down(picture), rtol=0, atol=0.1)
"""


def test_a_column_of_pixels_is_halved_without_what_other_memory_holds() -> None:
    """In a process of its own: tests run without AMX, which is what reads too far."""
    every = {name: value for name, value in os.environ.items() if name != "ONEDNN_MAX_CPU_ISA"}
    done = subprocess.run([sys.executable, "-c", HALVED], env=every, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr.decode()


def test_weights_that_change_are_packed_again() -> None:
    layer, picture = torch.nn.Conv2d(4, 4, 3, padding=1), torch.rand(1, 4, 8, 8)
    with torch.no_grad():
        before = fused.convolved(layer, picture)
        layer.weight.mul_(2)
        assert layer.bias is not None
        layer.bias.mul_(2)
        torch.testing.assert_close(fused.convolved(layer, picture), 2 * before)


def test_without_the_operators_steps_are_taken_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> torch.Tensor:
        raise RuntimeError("no such operator")

    fused.works.cache_clear()
    monkeypatch.setattr(fused, "_run", missing)
    layer, picture = torch.nn.Conv2d(4, 4, 3, padding=1), torch.rand(1, 4, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(fused.convolved(layer, picture), layer(picture))
    fused.works.cache_clear()


@pytest.mark.parametrize("mean", [box, filters.inner_mean])
@pytest.mark.parametrize("size", [(9, 13), (3, 2), (1, 6)])
def test_means_are_the_same_with_and_without_opencv(
    monkeypatch: pytest.MonkeyPatch,
    mean: Callable[[torch.Tensor, int], torch.Tensor],
    size: tuple[int, int],
) -> None:
    """As on a processor and on a GPU: where gradients are wanted, torch makes them."""
    picture = torch.rand(3, *size) if mean is box else torch.rand(2, 3, *size)
    by_opencv = mean(picture, 5)
    monkeypatch.setattr(filters, "here", lambda planes: False)
    torch.testing.assert_close(by_opencv, mean(picture.clone().requires_grad_(), 5))
