"""Methods whose networks see RGB pictures, gray ones or a mosaic's four colours, and the adapter
that lets them restore a file's own planes."""

from dataclasses import replace
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from f2rcli import yuv
from f2rcli.frames import PlaneLayout
from f2rcli.methods.base import Method, Prepared, Run
from f2rcli.noise.model import NoiseModel, PlaneNoise
from f2rcli.planes import pack, packing, unpack
from f2rcli.weights import Header, Weights
from f2rcli.window import Window


class RgbMethod:
    """A method of pictures (1, C, H, W); see `Method` for what its parts mean."""

    name: ClassVar[str]
    wants_sigma: ClassVar[bool] = False
    length: int
    activation_bytes: int
    networks: nn.Module

    def __init__(self, networks: Any, run: Run) -> None:
        self.networks, self._run = networks, run

    @classmethod
    def built(cls, header: Header) -> nn.Module:
        """The networks of a header, not filled yet."""
        raise NotImplementedError

    @classmethod
    def from_weights(cls, weights: Weights, run: Run, source: PlaneLayout) -> Method:
        """See Method."""
        return OnPlanes(cls.of(weights, run), source, weights.header.channels)

    @classmethod
    def of(cls, weights: Weights, run: Run) -> Self:
        """Build and fill the networks of a header. Raises WeightsError if tensors do not fit it."""
        return cls(weights.network(lambda: cls.built(weights.header)), run)

    def prepare(self, index: int, noisy: Tensor, noise: NoiseModel | None) -> Prepared:
        """Prepare a picture by itself; called once per frame, in order."""
        raise NotImplementedError

    def restore(self, window: Window[Prepared], noise: NoiseModel | None) -> Tensor:
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
        self._stored = source
        self._source = replace(source, log2_chroma=(2 - columns, 2 - rows))
        self._channels = channels

    @classmethod
    def from_weights(cls, weights: Weights, run: Run, source: PlaneLayout) -> Method:
        raise NotImplementedError  # `RgbMethod.from_weights` makes them

    def prepare(self, index: int, noisy: Tensor, told: PlaneNoise | None) -> Prepared:
        made = self.inner.prepare(index, self.picture(noisy), self._colours(told))
        return replace(made, kept=noisy)

    def restore(self, window: Window[Prepared], told: PlaneNoise | None) -> Tensor:
        centre, done = window.centre, self.inner.restore(window, self._colours(told))
        return self._packed(centre, done - centre.noisy)

    def forget(self) -> None:
        self.inner.forget()

    def picture(self, packed: Tensor) -> Tensor:
        """A packed picture (1, C, h, w) as networks see it."""
        seen = yuv.joined(unpack(self._layout, packed[0]), self._source)
        return seen[None].expand(-1, self._channels, -1, -1).contiguous()

    def _colours(self, told: PlaneNoise | None) -> NoiseModel | None:
        """The noise of the picture that networks see."""
        return None if told is None else told.picture(self._stored, self._channels)

    def _packed(self, centre: Prepared, change: Tensor) -> Tensor:
        """The centre's packed planes with a change of its picture."""
        assert centre.kept is not None  # prepared above
        if len(self._layout.planes) == 1:
            change = change.mean(1, keepdim=True)
        planes = yuv.parted(change[0], self._source)
        return centre.kept + pack(self._layout, planes)[None]
