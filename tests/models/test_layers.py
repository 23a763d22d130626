"""Networks: homogeneous, local, and the same in any tile."""

import os
import subprocess
import sys

import pytest
import torch

from f2rcli.models.coarse import Coarse
from f2rcli.models.convolutions import fused
from f2rcli.models.fusion import posterior_mean, smooth
from f2rcli.models.layers import UNet, conv_of_cells, padded, unet_reach


def loud(network: torch.nn.Module) -> torch.nn.Module:
    """Untrained networks start near zero; make every convolution count."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.7 / parameter[0].numel() ** 0.5)
    return network.double().eval()


@pytest.mark.parametrize("factor", [0.1, 3.7])
def test_a_brighter_picture_with_louder_noise_gives_a_brighter_estimate(factor: float) -> None:
    network = loud(Coarse(3, (8, 8, 8)))
    noisy, level = torch.rand(2, 1, 3, 16, 24, dtype=torch.float64)
    torch.testing.assert_close(
        network(factor * noisy, factor * level),
        factor * network(noisy, level),
        rtol=1e-9,
        atol=1e-12,
    )
    assert network(0 * noisy, 0 * level).abs().max() == 0


def test_no_input_beyond_the_reach_matters() -> None:
    widths = (8, 8, 8)
    network, reach = loud(UNet(3, 3, widths)), unet_reach(widths)
    size = 2 * reach + 40
    picture = torch.rand(1, 3, size, size, dtype=torch.float64)
    changed = picture.clone()
    changed[..., :8, :8] += 1
    difference = (network(picture) - network(changed)).abs().amax((0, 1))
    assert difference[8 + reach :].max() == 0
    assert difference[:, 8 + reach :].max() == 0
    assert difference.max() > 0


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (16, 8), (33, 47)])
def test_any_size_is_padded_and_cropped_again(size: tuple[int, int]) -> None:
    network = loud(Coarse(3, (8, 8, 8)))
    noisy = torch.rand(1, 3, *size, dtype=torch.float64)
    assert padded(network, noisy, torch.zeros_like(noisy)).shape == noisy.shape


def test_the_posterior_mean_trusts_the_anchor_as_far_as_noise_explains_the_difference() -> None:
    torch.manual_seed(0)
    clean = torch.full((1, 3, 64, 64), 0.5)
    level = torch.full_like(clean, 0.1)
    noisy = clean + 0.1 * torch.randn_like(clean)
    perfect = posterior_mean(noisy, clean, level)
    assert (perfect - clean).pow(2).mean() < 0.1 * (noisy - clean).pow(2).mean()
    wrong = clean + 0.4
    assert (posterior_mean(noisy, wrong, level) - noisy).abs().mean() < 0.04
    torch.testing.assert_close(posterior_mean(noisy, clean, 0 * level), noisy, rtol=0, atol=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (7, 3), (16, 40)])
def test_means_without_a_gradient_are_those_with_one(size: tuple[int, int]) -> None:
    picture = torch.rand(2, 3, *size)
    torch.testing.assert_close(smooth(picture), smooth(picture.clone().requires_grad_()).detach())


@pytest.mark.parametrize("extra", [0, 6])
def test_shuffling_inside_a_convolution_changes_nothing(extra: int) -> None:
    layer = torch.nn.Conv2d(20 + extra, 8, 3, padding=1, bias=not extra)
    picture = torch.rand(2, 5, 12, 16)
    around = torch.rand(2, extra, 6, 8) if extra else None
    plain = conv_of_cells(layer, picture, around).detach()
    with torch.no_grad():
        torch.testing.assert_close(conv_of_cells(layer, picture, around), plain)


def test_networks_say_the_same_with_and_without_gradients() -> None:
    network = loud(UNet(3, 3, (8, 16, 8), extra=4))
    inputs = torch.rand(1, 3, 24, 32).double(), torch.rand(1, 4, 12, 16).double()
    plain = network(*inputs).detach()
    with torch.no_grad():
        torch.testing.assert_close(network(*inputs), plain)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_follows_a_convolution_is_the_same_in_one_pass(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = UNet(3, 3, (8, 16), extra=4).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.7 / parameter[0].numel() ** 0.5)
    picture, extra = torch.rand(1, 3, 16, 24), torch.rand(1, 4, 8, 12)
    with torch.inference_mode(), torch.autocast("cpu", dtype, enabled=dtype is not torch.float32):
        found = network(picture, extra).float()
        monkeypatch.setattr(fused, "works", lambda _: False)
        wanted = network(picture, extra).float()
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


def test_weights_are_packed_once_for_each_size_of_a_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Packed for another size, small pictures took four times as long."""
    sizes, pack = [], fused._pack
    monkeypatch.setattr(
        fused, "_pack", lambda plain, x: (sizes.append(x.shape[-1]), pack(plain, x))[1]
    )
    layer = torch.nn.Conv2d(4, 4, 3, padding=1)
    with torch.no_grad():
        for width in (8, 40, 8, 40, *range(41, 41 + fused.KEPT)):
            picture = torch.rand(1, 4, 8, width)
            torch.testing.assert_close(fused.convolved(layer, picture), layer(picture))
    assert sizes == [8, 40, *range(41, 41 + fused.KEPT)]
    assert len(fused._packed[layer]) <= fused.KEPT


def test_a_torch_without_the_operators_takes_the_steps_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(*_: object) -> torch.Tensor:
        raise RuntimeError("no such operator")

    fused.works.cache_clear()
    monkeypatch.setattr(fused, "_run", missing)
    layer, picture = torch.nn.Conv2d(4, 4, 3, padding=1), torch.rand(1, 4, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(fused.convolved(layer, picture), layer(picture))
    fused.works.cache_clear()
