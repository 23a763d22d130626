"""Frames beside their anchors: shots apart, through the space that networks see, and back."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from f2rcli.engine.noise import anchor_pairs
from f2rcli.engine.noise.anchor_pairs import AnchorPair, AnchorPairs, evidence
from f2rcli.methods.base import Prepared
from f2rcli.window import Window

SPACE = SimpleNamespace(into=lambda x: 2 * x + 1, back=lambda y: (y - 1) / 2)


class Neighbours:
    """A method whose anchors are the first and the last neighbour."""

    length = 3

    def prepare(self, index: int, picture: torch.Tensor, level: None) -> Prepared:
        return Prepared(index, picture, picture, picture[0].mean(0).numpy())

    def independent_pair(self, view: Window[Prepared]) -> tuple[torch.Tensor, ...] | None:
        near = view.neighbours
        return (near[0].noisy, near[-1].noisy) if near else None


def pictures(count: int, seed: int) -> list[torch.Tensor]:
    scene = np.random.default_rng(seed).random((1, 3, 36, 64), np.float32)
    return [torch.from_numpy(scene + np.float32(0.001 * t)) for t in range(count)]


def test_views_are_of_one_shot_and_of_what_networks_see() -> None:
    clip = pictures(4, 0) + pictures(2, 1)
    views = AnchorPairs(Neighbours(), SPACE, clip).views()
    assert [view.centre.index for view in views] == [0, 1, 2, 3, 4, 5]
    seen = [sorted(one.index for one in view.items) for view in views]
    assert seen == [[0, 1, 2], [0, 1, 2], [1, 2, 3], [1, 2, 3], [4, 5], [4, 5]]
    for view, picture in zip(views, clip, strict=True):
        assert torch.equal(view.centre.noisy, 2 * picture + 1)
    plain = AnchorPairs(Neighbours(), None, clip).views()
    assert all(v.centre.noisy is picture for v, picture in zip(plain, clip, strict=True))


@pytest.mark.parametrize("space", [None, SPACE])
def test_a_pair_is_in_the_pictures_own_units(space: SimpleNamespace | None) -> None:
    clip = pictures(3, 0)
    pairs = AnchorPairs(Neighbours(), space, clip)
    noisy, *anchors = pairs.pair(pairs.views()[1])
    assert noisy is clip[1]
    for anchor, neighbour in zip(anchors, clip[::2], strict=True):
        assert torch.allclose(anchor, neighbour)
    alone = AnchorPairs(Neighbours(), space, clip[:1])
    assert alone.pair(alone.views()[0]) is None


@pytest.mark.parametrize("dark", [False, True])
def test_evidence_is_of_every_frame_beside_both_of_its_anchors(
    dark: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def empty(channels: int, *, dark: bool) -> SimpleNamespace:
        made.append((channels, dark))
        return SimpleNamespace(added=(added := []), add=lambda *three: added.append(three))

    monkeypatch.setattr(anchor_pairs, "NoiseSamples", SimpleNamespace(empty=empty))
    seen = [AnchorPair(*pictures(3, seed)) for seed in (0, 1)]
    assert evidence(seen, 3, dark=dark).added == [tuple(one) for one in seen]
    assert made == [(3, dark)]
