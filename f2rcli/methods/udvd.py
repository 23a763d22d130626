"""UDVD, unsupervised deep video denoising (Sheth et al., ICCV 2021): a blind spot in space-time."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.methods.base import Prepared, Run
from f2rcli.methods.rgb import RgbMethod
from f2rcli.models.gaussian import posterior_mean, split
from f2rcli.models.udvd import TRIPLES
from f2rcli.models.udvd import UDVDNet as Network
from f2rcli.noise.model import NoiseModel
from f2rcli.weights import Header
from f2rcli.window import Window

SMALL_BREADTH, SMALL_BYTES = 72, 2900  # channels at full size of size `small`, bytes per pixel
SEARCH_BYTES = 780  # of the search for neighbours
BLUR = 9  # pixels: what cuts between shots are looked for in


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
        self._known: dict[tuple[int, ...], Tensor] = {}  # the first stage's results, by frames

    @classmethod
    def built(cls, header: Header) -> Network:
        """Earlier headers say that it gives a covariance, as all do now."""
        config = {name: value for name, value in header.config.items() if name != "covariance"}
        return Network(header.channels, header.length, **config)

    def prepared(self, index: int, noisy: Tensor, noise: NoiseModel | None) -> Prepared:
        """Only a smooth brightness, for cuts."""
        mean = noisy.mean(1, keepdim=True)
        side = min(BLUR, *(n - 1 + n % 2 for n in noisy.shape[-2:]))
        smooth = functional.avg_pool2d(mean, side, 1, side // 2, count_include_pad=False)
        luma = smooth[0, 0].detach().float().cpu().numpy().astype(np.float32)
        return Prepared(index, noisy, noisy, luma)

    def restored(self, window: Window[Prepared], noise: NoiseModel | None) -> Tensor:
        """Without noise the mean, which never saw the pixel itself."""
        mean, factor = split(self.predict(window), self.networks.channels)
        noisy = window.centre.noisy
        if noise is None:
            return mean
        variance = noise.level(mean).square()
        return posterior_mean(noisy, mean, factor, variance)

    def predict(self, window: Window[Prepared]) -> Tensor:
        """The networks' prediction of the centre: mean, then covariance, (1, outputs, H, W). What
        is mirrored at a shot's ends may be the centre again, which does no harm: a pixel is hidden
        from itself in every frame."""
        frames = window.around(self.length // 2)
        oldest = min(frame.index for frame in frames)
        self._known = {key: value for key, value in self._known.items() if min(key) >= oldest}
        results = []
        for places in TRIPLES:
            seen = [frames[place] for place in places]
            key = tuple(frame.index for frame in seen)
            if key not in self._known:
                stack = torch.cat([frame.noisy for frame in seen], 1)
                self._known[key] = self._run(self.networks.first, stack)
            results.append(self._known[key])
        out: Tensor = self._run(self.networks.second, *results)
        return out


METHOD = UDVD
