"""FITVNet's modules: the published sizes, any picture, and nothing beyond their reach."""

import pytest
import torch
from torch import nn

from f2rcli.models.fitvnet import FusionBlock, ImageModule
from f2rcli.models.layers import padded

TINY_BLOCK = (4, 4, 8, 8)


def loud(network: nn.Module) -> nn.Module:
    """Every parameter drawn anew, so that none is zero and every convolution counts."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.7 / parameter[0].numel() ** 0.5)
    return network.double().eval()


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_published_sizes_have_the_published_number_of_parameters() -> None:
    image, block = parameters(ImageModule()), parameters(FusionBlock())
    assert image == 1_095_123  # published: 1.095 M
    assert block == 1_238_821  # 2.2: 1.239 M
    assert image + 2 * block == pytest.approx(3.573e6, abs=500)


def gmacs(network: nn.Module, *inputs: torch.Tensor) -> float:
    """1e9 multiply-accumulates of all convolutions for one megapixel."""
    total = 0

    def count(layer: nn.Conv2d, _: object, out: torch.Tensor) -> None:
        nonlocal total
        total += out.numel() * layer.weight[0].numel()

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    network(*inputs)
    return total / 1e9 / (inputs[0].shape[-1] * inputs[0].shape[-2] / 1e6)


def test_the_cost_per_megapixel() -> None:
    """The published size; a stream needs one image and two blocks."""
    frames, level = torch.rand(1, 3, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    with torch.inference_mode():
        found = (gmacs(ImageModule(3), frames[:, 0]), gmacs(FusionBlock(3), frames, level))
    assert found == pytest.approx((180.9, 159.0), abs=0.1)


@pytest.mark.parametrize("size", [(1, 1), (33, 47), (64, 31)])
def test_any_size_is_padded_and_cropped_again(size: tuple[int, int]) -> None:
    image, block = loud(ImageModule(3, 6)), loud(FusionBlock(3, TINY_BLOCK))
    frames = torch.rand(1, 3, 3, *size, dtype=torch.float64)
    level = torch.zeros(1, 1, *size, dtype=torch.float64)
    assert padded(image, frames[:, 0]).shape == (1, 3, *size)
    assert padded(block, frames, level).shape == (1, 3, *size)


def far(network: nn.Module, side: int, *places: int) -> int:
    """How far from a pixel the inputs that it depends on are, at most.

    With weights above zero no ReLU is ever closed, so that whatever can matter does.
    """
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    lead = (1, 3, 3) if isinstance(network, FusionBlock) else (1, 1)
    picture = torch.rand(*lead, side, side, dtype=torch.float64, requires_grad=True)
    level = torch.full((1, 1, side, side), 0.1, dtype=torch.float64)
    out = network(picture, level) if isinstance(network, FusionBlock) else network(picture)
    farthest = 0
    for place in places:
        (gradient,) = torch.autograd.grad(out[0, :, place, place].sum(), picture, retain_graph=True)
        rows = gradient.flatten(0, -3).abs().sum((0, 2)).nonzero().flatten()
        farthest = max(farthest, *(int(abs(edge - place)) for edge in (rows[0], rows[-1])))
    return farthest


def test_no_input_beyond_the_reach_matters_and_most_of_the_reach_does() -> None:
    block = loud(FusionBlock(3, TINY_BLOCK))
    assert 24 <= far(block, 128, 64, 67) <= block.reach
    image = loud(ImageModule(1, 3))
    assert 128 <= far(image, 448, 224, 255) <= image.reach
    assert image.reach % image.stride == 0
    assert block.reach % block.stride == 0


def test_a_block_begins_as_the_identity_on_its_middle_frame_and_can_leave_it() -> None:
    torch.manual_seed(0)
    block = FusionBlock()
    frames = torch.rand(2, 3, 3, 32, 32)
    level = torch.full((2, 1, 32, 32), 0.1)
    out = block(frames, level)
    assert torch.equal(out, frames[:, 1])
    out.square().sum().backward()
    assert block.tail[1].weight.grad.abs().min() > 0


def test_each_frame_is_embedded_by_itself() -> None:
    """The paper's 90 channels are three groups of 30."""
    block = FusionBlock()
    assert block.embed.weight.shape == (90, 4, 3, 3)
    assert block.embed.groups == 3
