"""Methods whose networks see RGB pictures, gray ones or a mosaic's four colours, and the adapter
that lets them restore a file's own planes."""

from dataclasses import replace
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from f2rcli import yuv
from f2rcli.frames import Family, PlaneLayout
from f2rcli.methods.base import Method, Prepared, Restored, Run
from f2rcli.noise.model import NoiseModel, Told
from f2rcli.planes import mixed, pack, packing, unpack
from f2rcli.weights import Weights
from f2rcli.window import Window


class RgbMethod:
    """A method of pictures (1, C, H, W); see `Method` for what its parts mean."""

    name: ClassVar[str]
    wants_sigma: ClassVar[bool] = False
    length: int
    activation_bytes: int
    networks: nn.Module

    @classmethod
    def from_weights(cls, weights: Weights, run: Run, source: PlaneLayout) -> Method:
        """See Method."""
        return OnPlanes(cls.of(weights, run), source, weights.header.channels)

    @classmethod
    def of(cls, weights: Weights, run: Run) -> Self:
        """Build and fill the networks of a header. Raises WeightsError if tensors do not fit it."""
        raise NotImplementedError

    def prepare(self, index: int, noisy: Tensor, noise: NoiseModel | None) -> Prepared:
        """Prepare a picture by itself; called once per frame, in order."""
        raise NotImplementedError

    def restore(self, window: Window[Prepared], noise: NoiseModel | None) -> Restored:
        """Restore the centre of a window."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drop everything remembered of earlier frames."""


class OnPlanes(Method):
    """An RGB method on packed planes: a change of its picture becomes a change of planes."""

    name: ClassVar[str] = "rgb"

    def __init__(self, inner: RgbMethod, source: PlaneLayout, channels: int) -> None:
        """channels: of the pictures that networks see; a gray one is shown as many times."""
        self.inner = inner
        self.wants_sigma = inner.wants_sigma  # type: ignore[misc]  # that of what it stands for
        self.length, self.networks = inner.length, inner.networks
        self.activation_bytes = inner.activation_bytes
        self._layout = packing(source)
        rows, columns = self._layout.planes[-1]
        self._source = replace(source, log2_chroma=(2 - columns, 2 - rows))
        self._channels = channels

    @classmethod
    def from_weights(cls, weights: Weights, run: Run, source: PlaneLayout) -> Method:
        raise NotImplementedError  # `RgbMethod.from_weights` makes them

    def prepare(self, index: int, noisy: Tensor, told: Told | None) -> Prepared:
        made = self.inner.prepare(index, self.picture(noisy), _of_channels(told))
        return replace(made, kept=noisy)

    def restore(self, window: Window[Prepared], told: Told | None) -> Restored:
        done = self.inner.restore(window, _of_channels(told))
        centre = window.centre
        return Restored.single(self._packed(centre, done.refined - centre.noisy))

    def forget(self) -> None:
        self.inner.forget()

    def picture(self, packed: Tensor) -> Tensor:
        """A packed picture (1, C, h, w) as networks see it."""
        first, *others = unpack(self._layout, packed[0])
        if not self._even:
            others = [yuv.upsampled(one, first.shape, self._source) for one in others]
        planes = [first, *others]
        if self._source.family is Family.YUV:
            planes = mixed(yuv.matrices(self._source.matrix)[0], planes)
        return torch.stack(planes)[None].expand(-1, self._channels, -1, -1).contiguous()

    @property
    def _even(self) -> bool:
        """Whether all planes have one size."""
        return len(set(self._layout.planes)) == 1

    def _packed(self, centre: Prepared, change: Tensor) -> Tensor:
        """The centre's packed planes with a change of its picture."""
        assert centre.kept is not None  # prepared above
        if len(self._layout.planes) == 1:
            change = change.mean(1, keepdim=True)
        planes = list(change[0])
        if self._source.family is Family.YUV:
            planes = mixed(yuv.matrices(self._source.matrix)[1], planes)
        if not self._even:
            planes[1:] = [yuv.sampled(plane, self._source) for plane in planes[1:]]
        return centre.kept + pack(self._layout, planes)[None]


def _of_channels(told: Told | None) -> NoiseModel | None:
    return None if told is None else told.channels
