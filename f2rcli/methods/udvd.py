"""UDVD, unsupervised deep video denoising (Sheth et al., ICCV 2021): a blind spot in space-time."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from f2rcli.methods.base import Prepared, Run
from f2rcli.methods.rgb import RgbMethod
from f2rcli.models.filters import smooth
from f2rcli.models.layers import Belief
from f2rcli.models.udvd import UDVDNet as Network
from f2rcli.noise.model import NoiseModel
from f2rcli.weights import Header
from f2rcli.window import Window

SMALL_BREADTH, SMALL_BYTES = 72, 2900  # channels at full size of size `small`, bytes per pixel
SEARCH_BYTES = 780  # of the search for neighbours


class UDVD(RgbMethod):
    """Mean and covariance of a pixel from all around it, and the posterior mean with itself."""

    name: ClassVar[str] = "udvd"
    wants_sigma: ClassVar[bool] = True
    activation_bytes = SMALL_BYTES  # in fp32, measured; of other sizes in proportion
    networks: Network

    def __init__(self, network: Network, run: Run) -> None:
        super().__init__(network, run)
        self.length = network.length
        self.activation_bytes = SEARCH_BYTES + SMALL_BYTES * network.breadth // SMALL_BREADTH

    @classmethod
    def built(cls, header: Header) -> Network:
        return Network(header.channels, header.length, **header.config)

    def estimated(self, noisy: Tensor) -> Tensor:
        """Hardly: noise of a small flat picture would look like a cut."""
        return smooth(noisy)

    def restored(self, window: Window[Prepared], noise: NoiseModel) -> Tensor:
        """What is mirrored at a shot's ends may be the centre again, which does no harm: a pixel is
        hidden from itself in every frame."""
        belief = Belief.of(self._run(self.networks.second, *self.by_threes(window, self._first)))
        variance = noise.level(belief.mean).square()
        return belief.posterior_mean(window.centre.noisy, variance)

    def _first(self, triple: Sequence[Prepared]) -> Tensor:
        return self._run(self.networks.first, torch.cat([frame.noisy for frame in triple], 1))


METHOD = UDVD
