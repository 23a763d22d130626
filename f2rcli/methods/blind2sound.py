"""Blind2Sound (arXiv 2303.05183): one frame at a time, by a network that hid pixels to learn."""

from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.methods.base import Estimating, Prepared, Restored, Run
from f2rcli.methods.rgb import RgbMethod
from f2rcli.models.blind2sound import Blind2SoundNetworks, NoiseLevel
from f2rcli.noise.model import NoiseModel
from f2rcli.weights import Weights
from f2rcli.window import Window

BLOCK = 8  # pixels per side of the places whose noise is compared by brightness
ROOM = 1.5  # standard deviations of noise from black and white within which none is cut off
REFITS = 9
LEAST_INSIDE = 0.05  # share of a picture without which the rest has to do
CLOSE = 0.02  # of the law: deviations that count as equal
TINY = 1e-12


class Blind2Sound(RgbMethod, Estimating):
    """The visible branch's mean; the masked branch and the estimator are for training."""

    name: ClassVar[str] = "blind2sound"
    activation_bytes = 820  # of size `small` in fp32, 470 in bf16; `published` 1480
    length = 1
    networks: Blind2SoundNetworks

    def __init__(self, networks: Blind2SoundNetworks, run: Run) -> None:
        self.networks = networks
        self._run = run

    @classmethod
    def of(cls, weights: Weights, run: Run) -> Self:
        header = weights.header
        networks = weights.network(lambda: Blind2SoundNetworks(header.channels, **header.config))
        return cls(networks, run)

    def prepare(self, index: int, noisy: Tensor, noise: NoiseModel | None) -> Prepared:
        """The noise is not used: the network learnt to do without."""
        estimate = self._run(self.networks.denoiser, noisy)
        luma = estimate[0].detach().mean(0).float().cpu().numpy()
        return Prepared(index, noisy, estimate, luma)

    def restore(self, window: Window[Prepared], noise: NoiseModel | None) -> Restored:
        """The estimate that was prepared already."""
        return Restored.single(window.centre.coarse)

    def estimate_noise(self, noisy: Tensor) -> NoiseModel:
        """The line through what the estimator says of places of every brightness, the read
        variances of both branches blended, of all channels alike."""
        # The paper's three numbers are means over the picture. No place tells shot from read noise,
        # so they share every noise out between both; what they say of its strength is right.
        maps = self._run(self.networks.estimator, noisy).float()
        light = noisy.clamp(0, 1).mean(1, keepdim=True)
        places = functional.avg_pool2d(torch.cat([maps, light], 1), min(BLOCK, *light.shape[-2:]))
        level, x = NoiseLevel(*places[:, :3].unbind(1)), places[:, 3]
        gain, read = _law(x, level.read() + level.gain * x)
        means = noisy.clamp(0, 1).mean((0, 2, 3)).tolist()
        same = len(means)
        sigma = tuple((gain * mean + read**2) ** 0.5 for mean in means)
        return NoiseModel((gain,) * same, (read,) * same, sigma, noisy[0].numel())


def _law(light: Tensor, variance: Tensor) -> tuple[float, float]:
    """Gain and read noise of variances at these brightnesses, as many of them above the law as
    below, since texture adds to some; where black or white cuts noise off they do not count."""
    x, v = light.flatten().double(), variance.flatten().double()
    weight = torch.ones_like(x)
    for _ in range(REFITS):
        gain, read = _line(x, v, weight / weight.sum())
        law = gain * x + read
        room = ROOM * law.sqrt()
        inside = ((x > room) & (x < 1 - room)).double()
        if float(inside.mean()) < LEAST_INSIDE:
            inside = torch.ones_like(x)
        weight = inside / torch.maximum((v - law).abs(), CLOSE * law + TINY)  # least deviations
    return gain, read**0.5


def _line(x: Tensor, v: Tensor, weight: Tensor) -> tuple[float, float]:
    """Slope and height at 0, neither below it, of the line through variances v at brightnesses x;
    on weighted average over them it is right whatever it cannot follow."""
    mean, height = float((weight * x).sum()), float((weight * v).sum())
    spread = float((weight * (x - mean).square()).sum())
    slope = float((weight * (x - mean) * v).sum()) / max(spread, TINY)
    gain = min(max(slope, 0.0), height / max(mean, TINY))
    return gain, max(height - gain * mean, 0.0)


METHOD = Blind2Sound
