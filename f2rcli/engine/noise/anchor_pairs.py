"""A frame beside two estimates of it that share no noise, in its own units."""

from typing import NamedTuple

from torch import Tensor

from f2rcli.engine.cuts import same_shot, thumbnail
from f2rcli.methods.base import Prepared
from f2rcli.methods.rgb import RgbMethod
from f2rcli.noise.measurement.samples import NoiseSamples
from f2rcli.noise.stabilising import VarianceStabiliser
from f2rcli.window import Window, windows


class AnchorPair(NamedTuple):
    """A frame with the two anchors of it that share no noise."""

    noisy: Tensor
    first: Tensor
    second: Tensor


class AnchorPairs:
    """A method that measures, through the space that sensor values are looked at in."""

    def __init__(
        self, method: RgbMethod, space: VarianceStabiliser | None, pictures: list[Tensor]
    ) -> None:
        """pictures (1, C, H, W) follow each other; the method is a fresh one."""
        self.method = method
        self.space = space
        self.pictures = pictures

    def views(self) -> list[Window[Prepared]]:
        """Every picture, made ready, with its neighbours in the same shot."""
        ready = [
            self.method.prepare(
                i, picture if self.space is None else self.space.into(picture), None
            )
            for i, picture in enumerate(self.pictures)
        ]
        looks = [thumbnail(p.luma) for p in ready]
        length = self.method.length
        return list(windows(ready, length, lambda a, b: same_shot(looks[a.index], looks[b.index])))

    def pair(self, view: Window[Prepared]) -> AnchorPair | None:
        """The centre with two anchors, in the pictures' own units; None without neighbours."""
        pair = self.method.independent_pair(view)
        if pair is None:
            return None
        first, second = pair if self.space is None else map(self.space.back, pair)
        return AnchorPair(self.pictures[view.centre.index], first, second)


def evidence(seen: list[AnchorPair], channels: int, *, dark: bool) -> NoiseSamples:
    """Evidence of the noise in frames and anchors; dark: whether light may begin above 0."""
    samples = NoiseSamples.empty(channels, dark=dark)
    for one in seen:
        samples.add(*one)
    return samples
