"""Blind2Sound (arXiv 2303.05183): one frame at a time, by a network that hid pixels to learn."""

from typing import ClassVar

from torch import Tensor

from f2rcli.methods.base import Prepared
from f2rcli.methods.rgb import RgbMethod
from f2rcli.models.blind2sound import Blind2SoundNetworks
from f2rcli.noise.model import NoiseModel
from f2rcli.weights import Header
from f2rcli.window import Window


class Blind2Sound(RgbMethod):
    """The visible branch's mean; the masked branch is for training."""

    name: ClassVar[str] = "blind2sound"
    activation_bytes = 820  # of size `small` in fp32, 470 in bf16; `published` 1480
    length = 1
    networks: Blind2SoundNetworks

    @classmethod
    def built(cls, header: Header) -> Blind2SoundNetworks:
        return Blind2SoundNetworks(header.channels, header.config["denoiser"])

    def estimated(self, noisy: Tensor) -> Tensor:
        return self._run(self.networks.denoiser, noisy)

    def restored(self, window: Window[Prepared], noise: NoiseModel) -> Tensor:
        """The estimate that was prepared already; the network learnt to do without the noise."""
        return window.centre.coarse


METHOD = Blind2Sound
