"""Networks on packed planes: shapes, blindness, what they cost."""

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from f2rcli.models.placing import MAPS, rated, warped
from f2rcli.models.planar import CONFIGS, CentreFrame, Neighbours, Networks, Restored, weighted
from f2rcli.planes import LAYOUTS, Layout, gathered

MOST = 45.0  # GMAC per megapixel


@pytest.fixture(scope="module")
def lite() -> Networks:
    torch.manual_seed(0)
    networks = Networks(CONFIGS["lite"])
    with torch.no_grad():  # as if trained: at first every neighbour weighs by confidence alone
        networks.anchor.logits.weight.normal_()
    return networks.eval()


class Scene:
    """A centre with four neighbours, (h, w) cells, random."""

    def __init__(self, layout: Layout, networks: Networks, side: int = 16) -> None:
        drawn = torch.Generator().manual_seed(1)
        channels, planes = layout.channels, len(layout.planes)
        self.layout, self.networks = layout, networks
        self.noisy = torch.rand(2, channels, side, side, generator=drawn)
        self.told = torch.full((2, 2 * planes, side, side), 0.1)
        shape = 2, 4, channels, side, side
        pictures = [torch.rand(shape, generator=drawn) for _ in range(2)]
        sure = torch.rand(2, 4, 1, side, side, generator=drawn) + 0.1
        self.neighbours = Neighbours(pictures[0], pictures[1], sure, torch.ones_like(sure))
        self.coarse: Tensor = networks.coarse(layout, self.noisy, self.told)

    def restored(self, noisy: Tensor | None = None, seen: Neighbours | None = None) -> Restored:
        centre = self.noisy if noisy is None else noisy
        around = self.neighbours if seen is None else seen
        with torch.no_grad():
            given = CentreFrame(centre, self.coarse), self.told, around
            done: Restored = self.networks(self.layout, *given)
        return done


@pytest.mark.parametrize("name", LAYOUTS)
@torch.no_grad()
def test_every_layout_goes_in_and_out_and_the_same_twice(lite: Networks, name: str) -> None:
    scene = Scene(LAYOUTS[name], lite)
    first, second = scene.restored(), scene.restored()
    for one, again in zip(first, second, strict=True):
        assert one.shape == scene.noisy.shape
        assert torch.equal(one, again)


@pytest.mark.parametrize("size", CONFIGS)
def test_the_anchor_does_not_change_by_a_bit_with_the_centres_noise(size: str) -> None:
    torch.manual_seed(0)
    scene = Scene(LAYOUTS["yuv420"], Networks(CONFIGS[size]).eval())
    before, after = scene.restored(), scene.restored(noisy=scene.noisy + 1)
    assert torch.equal(before.strict, after.strict)
    assert torch.equal(before.anchor, after.anchor)
    assert not torch.allclose(before.refined, after.refined)


def test_no_gradient_leads_from_the_anchor_to_the_centre(lite: Networks) -> None:
    scene = Scene(LAYOUTS["rgb"], lite)
    noisy = scene.noisy.clone().requires_grad_()
    coarse = scene.coarse.detach().requires_grad_()
    done = lite(scene.layout, CentreFrame(noisy, coarse), scene.told, scene.neighbours)
    for anchor in (done.strict, done.anchor):
        reached = torch.autograd.grad(
            anchor.sum(), [noisy, coarse], retain_graph=True, allow_unused=True
        )
        assert reached == (None, None)
    assert torch.autograd.grad(done.refined.sum(), noisy)[0].abs().sum() > 0


@torch.no_grad()
def test_a_missing_neighbour_is_not_looked_at_and_order_does_not_matter(lite: Networks) -> None:
    scene = Scene(LAYOUTS["yuv420"], lite)
    noisy, coarse, sure, worth = (part.clone() for part in scene.neighbours)
    sure[:, 2] = 0
    missing = scene.restored(seen=Neighbours(noisy, coarse, sure, worth))
    noisy[:, 2] = 7.0
    coarse[:, 2] = -3.0
    other = scene.restored(seen=Neighbours(noisy, coarse, sure, worth))
    for one, two in zip(missing, other, strict=True):
        assert torch.equal(one, two)
    turned = Neighbours(*(part.flip(1) for part in scene.neighbours))
    for one, two in zip(scene.restored(), scene.restored(seen=turned), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_twice_the_light_gives_twice_the_picture(lite: Networks) -> None:
    scene = Scene(LAYOUTS["rgb"], lite)
    double = lite.coarse(scene.layout, 2 * scene.noisy, 2 * scene.told)
    torch.testing.assert_close(double, 2 * scene.coarse, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", LAYOUTS)
def test_lite_costs_no_more_than_it_may(lite: Networks, name: str) -> None:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        Scene(LAYOUTS[name], lite).restored()
    pixels = 2 * (2 * 16) ** 2
    assert counter.get_total_flops() / 2 / pixels / 1e3 < MOST


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_neighbour_is_brought_onto_the_centres_grid_plane_by_plane(name: str) -> None:
    layout = LAYOUTS[name]
    planes = [torch.rand(1, 20 * rows, 24 * columns) for rows, columns in layout.planes]
    shifts = [(2 * r, -3 * c) for r, c in layout.planes]  # what two cells down, three left are
    there = [torch.roll(p, s, (1, 2)) for p, s in zip(planes, shifts, strict=True)]
    flow = torch.tensor([-3.0, 2.0]).expand(1, 20, 24, 2)
    back = warped(layout, [gathered(layout, there)], flow)[0]
    inner = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(back[inner], gathered(layout, planes)[inner], atol=1e-4, rtol=0)


def test_a_flow_may_lead_into_a_larger_picture() -> None:
    """As crops do in training, whose neighbours reach beyond them."""
    picture = torch.rand(1, 1, 12, 16)
    flow = torch.tensor([3.0, 2.0]).expand(1, 6, 8, 2)
    torch.testing.assert_close(warped(MAPS, [picture], flow)[0], picture[..., 2:8, 3:11])


def test_what_shows_something_else_is_not_trusted() -> None:
    reference = torch.rand(1, 6, 32, 32)
    coarse = reference.unsqueeze(1).repeat(1, 3, 1, 1, 1) + 0.001 * torch.randn(1, 3, 6, 32, 32)
    coarse[:, 1, :, :16] += 0.2
    agreement = rated(coarse, reference)[0, :, 0]
    assert agreement[1, 4:12].max() < 0.1
    assert agreement[[0, 2]].min() > 0.5


def test_neighbours_features_are_added_up_in_single_precision() -> None:
    """Whatever precision convolutions run in: bfloat16 has three digits."""
    weights, features = torch.rand(1, 6, 1, 8, 8), torch.rand(1, 6, 4, 8, 8).bfloat16()
    found = weighted(weights[:, 3:], features[:, 3:], weighted(weights[:, :3], features[:, :3]))
    torch.testing.assert_close(found, (weights * features.float()).sum(1))
