"""Residual blocks in int8: exact sums of bytes, by ranges that are known beforehand."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2rcli import weights
from f2rcli.engine.device import autocast
from f2rcli.engine.tiles import Runner
from f2rcli.frames import Space
from f2rcli.methods.f2r import F2R
from f2rcli.models.coarse import Coarse
from f2rcli.models.convolutions import int8
from f2rcli.models.convolutions.int8 import Ranges, Steps
from f2rcli.models.layers import SLOPE, ResidualBlock

CPU = torch.device("cpu")
CHANNELS = 16
# Not by `int8.works`, which says no where int8 is broken.
KNOWN = torch.cpu.get_capabilities()
VNNI = bool(KNOWN.get("avx512_vnni") or KNOWN.get("avx_vnni"))
needs_vnni = pytest.mark.skipif(not VNNI, reason="this processor multiplies no bytes")


def test_int8_works_where_a_processor_has_vnni() -> None:
    assert int8.works() == VNNI


def block_and_input(seed: int = 1, scale: float = 1.0) -> tuple[ResidualBlock, Tensor]:
    """A block with steps for inputs up to 4, some channels much quieter than others."""
    generator = torch.Generator().manual_seed(seed)
    block = ResidualBlock(CHANNELS).eval()
    for layer in (block.first, block.second):
        layer.weight.data = torch.randn(layer.weight.shape, generator=generator) / CHANNELS
    quiet = torch.logspace(-2, 0, CHANNELS)
    block.steps = Steps.of(Ranges(4 * quiet, 4 * torch.ones(CHANNELS)))
    x = torch.randn((1, CHANNELS, 12, 20), generator=generator) * quiet[:, None, None]
    return block, x * scale


def by_hand(block: ResidualBlock, x: Tensor) -> NDArray[np.float64]:
    """The block in whole numbers, from the definition."""
    assert block.steps is not None
    steps, units = (s.double().numpy() for s in block.steps)
    first, second = (
        layer.weight.detach().double().numpy() for layer in (block.first, block.second)
    )
    seen = _rounded(x.double().numpy()[0] / steps[:, None, None])
    inner = _convolved(seen, first * steps[:, None, None] / units[:, None, None, None])
    seen = _rounded(np.where(inner < 0, SLOPE * inner, inner))
    change: NDArray[np.float64] = _convolved(seen, second * units[:, None, None])
    return x.double().numpy()[0] + change


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(np.floor(values + 0.5), -128, 127)


def _convolved(codes: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Codes (C, H, W), zeros around them, by a kernel rounded to bytes output by output."""
    scale = np.abs(kernel).max((1, 2, 3), keepdims=True) / 127
    whole = np.rint(kernel / scale)
    wide = np.pad(codes, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(wide, (3, 3), (1, 2))
    sums = np.einsum("chwij,ocij->ohw", windows, whole)
    return np.asarray(sums * scale[:, 0])


@needs_vnni
def test_a_block_is_what_whole_numbers_give() -> None:
    """No value may saturate on its way: sums of 144 products are exact. Where float32 rounds a
    value to another byte than float64, a result moves by one step of it."""
    block, x = block_and_input()
    with torch.inference_mode(), int8.allowed():
        found = block(x.clone())[0].double().numpy()
    apart = np.abs(found - by_hand(block, x))
    assert np.quantile(apart, 0.98) < 1e-5
    assert apart.max() < 0.05


@needs_vnni
@pytest.mark.parametrize("precision", ["int8", "int8+bf16"])
def test_a_block_in_int8_is_near_the_one_in_floats(precision: str) -> None:
    block, x = block_and_input()
    with torch.inference_mode():
        exact = block(x.clone())
        with autocast(CPU, precision):
            found = block(x.clone())
    assert found.dtype is (torch.bfloat16 if "bf16" in precision else torch.float32)
    error = (found.float() - exact).square().mean().sqrt()
    assert 0 < error < 0.1 * (exact - x).square().mean().sqrt()


@needs_vnni
def test_values_beyond_the_ranges_are_cut_off_and_do_not_wrap() -> None:
    block, x = block_and_input(scale=50.0)
    with torch.inference_mode(), int8.allowed():
        found = block(x.clone())[0].double().numpy()
    assert np.abs(found - by_hand(block, x)).max() < 0.05


def test_without_steps_leave_or_a_processor_blocks_run_in_floats(monkeypatch) -> None:
    block, x = block_and_input()
    with torch.inference_mode():
        exact = block(x.clone())
        with int8.allowed():
            block.steps, steps = None, block.steps
            assert torch.equal(block(x.clone()), exact)
            block.steps = steps
            monkeypatch.setattr(int8, "works", lambda: False)
            assert torch.equal(block(x.clone()), exact)
        monkeypatch.undo()
        assert torch.equal(block(x.clone()), exact)  # not asked for
    with int8.allowed():
        assert block(x.clone()).requires_grad  # learns, in floats


@needs_vnni
def test_new_weights_are_packed_anew() -> None:
    block, x = block_and_input()
    with torch.inference_mode(), int8.allowed():
        before = block(x.clone())
    with torch.no_grad():
        block.second.weight.mul_(2)
    with torch.inference_mode(), int8.allowed():
        after = block(x.clone())
    assert torch.allclose(after - x, 2 * (before - x), atol=1e-5)


@needs_vnni
def test_tiles_give_the_numbers_of_the_whole() -> None:
    """Ranges are known beforehand, so no tile depends on how bright the rest of a picture is."""
    network = calibrated(Coarse(3, (16, 16, 32)).eval())
    picture = torch.rand((1, 3, 200, 168), generator=torch.Generator().manual_seed(3))
    picture[..., :40, :40] *= 10
    level = torch.full_like(picture, 0.1)
    whole, tiled, exact = (
        Runner(CPU, precision, tile)(network, picture, level)
        for precision, tile in (("int8", None), ("int8", 96), ("fp32", None))
    )
    assert torch.equal(whole, tiled)
    assert not torch.equal(whole, exact)


def calibrated(network: Coarse) -> Coarse:
    """The network with ranges from a picture of noise."""
    found: dict[str, Ranges] = {}
    picture = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        twin = Coarse(3, (16, 16, 32)).eval()
        twin.load_state_dict(network.state_dict())
        int8.watch_ranges(twin, SLOPE, found)
        twin(picture, torch.full_like(picture, 0.1))
    int8.give_ranges(network, {name: torch.stack(tuple(own)) for name, own in found.items()})
    return network


def test_ranges_are_the_largest_values_seen() -> None:
    found: dict[str, Ranges] = {}
    block, x = block_and_input()
    block.inner = True
    int8.watch_ranges(block, SLOPE, found)
    with torch.no_grad():
        for scale in (1.0, 3.0, 2.0):
            block(x * scale)
        inner = torch.nn.functional.leaky_relu(block.first(3 * x), SLOPE)
    assert torch.allclose(found[""].outer, 3 * x.abs().amax((0, 2, 3)))
    assert torch.allclose(found[""].between, inner.abs().amax((0, 2, 3)), rtol=1e-5)


def test_bytes_reach_a_quarter_beyond_the_ranges_and_silent_channels_have_steps() -> None:
    steps = Steps.of(Ranges(torch.tensor([4.0, 0.0]), torch.tensor([0.5, 2.0])))
    assert (127 * steps.outer).tolist() == pytest.approx([5.0, 0.005])
    assert (127 * steps.between).tolist() == pytest.approx([0.625, 2.5])


def test_only_blocks_below_full_size_run_in_int8() -> None:
    names = [name for name, _ in int8.inner_blocks(Coarse(3, (16, 16, 32)))]
    assert names == ["unet.encoders.1", "unet.middle.0", "unet.middle.1", "unet.decoders.1"]


VIDEO = [
    name
    for name, entry in weights.manifest().items()
    if entry["method"] == "f2r" and entry["space"] != "bayer"
    if name not in ("f2r-rgb-blind", "f2r-rgb-noise")  # chosen by name; for measuring
]


@pytest.mark.parametrize("name", VIDEO)
def test_bundled_weights_for_video_have_ranges(name: str) -> None:
    """New weights need benchmarks/pretraining/ranges.py, or they cannot run in int8."""
    chosen = weights.load(name)
    networks = F2R.from_weights(chosen, Runner(CPU, "int8", None)).networks
    ranges = weights.ranges(chosen)
    assert set(ranges) == {block for block, _ in int8.inner_blocks(networks)}
    for block, own in int8.inner_blocks(networks):
        assert ranges[block].shape == (2, own.first.in_channels)
        assert ranges[block].min() >= 0
        assert ranges[block].isfinite().all()


def test_noise_is_measured_in_floats_whatever_restores() -> None:
    measuring = weights.measuring(Space.RGB)
    assert measuring is not None
    assert weights.ranges(weights.load(measuring)) == {}
