"""Methods whose networks see RGB pictures, gray ones or a mosaic's four colours, and the adapter
that lets them restore a file's own planes."""

from dataclasses import replace
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from f2rcli import yuv
from f2rcli.frames import Family, PlaneLayout, Singles
from f2rcli.methods.base import Method, Prepared, Restored, Run
from f2rcli.models.recorded import as_constant
from f2rcli.noise.model import NoiseModel, Told
from f2rcli.planes import pack, packing, unpack
from f2rcli.weights import Weights
from f2rcli.window import Window

BACK_PROJECTIONS = 2  # rounds that bring a change of chroma closer to what is wanted


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
        return replace(made, deep=noisy)

    def restore(self, window: Window[Prepared], told: Told | None) -> Restored:
        done = self.inner.restore(window, _of_channels(told))
        centre = window.centre
        if not self.all_shown:
            return Restored.single(self._packed(centre, done.refined - centre.noisy))
        return Restored(*(self._packed(centre, one - centre.noisy) for one in done))

    def forget(self) -> None:
        self.inner.forget()

    def picture(self, packed: Tensor) -> Tensor:
        """A packed picture (1, C, h, w) as networks see it."""
        first, *others = unpack(self._layout, packed[0])
        if not self._even:
            others = [upsampled(one, first.shape, self._source) for one in others]
        planes = torch.stack([first, *others])
        if self._source.family is Family.YUV:
            planes = mixed(yuv.matrices(self._source.matrix)[0], planes)
        return planes[None].expand(-1, self._channels, -1, -1).contiguous()

    @property
    def _even(self) -> bool:
        """Whether all planes have one size."""
        return len(set(self._layout.planes)) == 1

    def _packed(self, centre: Prepared, change: Tensor) -> Tensor:
        """The centre's packed planes with a change of its picture."""
        assert centre.deep is not None  # prepared above
        if len(self._layout.planes) == 1:
            change = change.mean(1, keepdim=True)
        planes = change[0]
        if self._source.family is Family.YUV:
            planes = mixed(yuv.matrices(self._source.matrix)[1], planes)
        parts = [planes[:1], planes[1:] if self._even else _sampled(planes[1:], self._source)]
        each = [plane for part in parts for plane in part]
        return centre.deep + pack(self._layout, each)[None]


def _of_channels(told: Told | None) -> NoiseModel | None:
    return None if told is None else told.channels


def mixed(matrix: Singles, planes: Tensor) -> Tensor:
    """Planes (3, H, W) with their colours mixed."""
    weights = as_constant(tuple(matrix.astype(float).flatten().tolist()), planes).view(3, 3)
    return (weights @ planes.flatten(1)).view_as(planes)


def _sampled(values: Tensor, layout: PlaneLayout) -> Tensor:
    """The chroma (2, h, w) whose interpolation comes closest to a change (2, H, W) of it."""
    chroma = averaged = _downsampled(values, layout)
    for _ in range(BACK_PROJECTIONS):
        whole = upsampled(chroma, values.shape[-2:], layout)
        chroma = chroma + (averaged - _downsampled(whole, layout))
    return chroma


def upsampled(chroma: Tensor, size: tuple[int, ...], layout: PlaneLayout) -> Tensor:
    """Chroma (..., h, w) on the luma grid; see `yuv._upsample`."""
    for axis, factor, site in yuv.coarser(layout):
        chroma = _stretched(chroma, axis - 2, factor, site, size[axis])
    return chroma


def _stretched(values: Tensor, axis: int, factor: int, site: float, size: int) -> Tensor:
    """Linear interpolation along an axis: sample i of `values` lies at factor * i + site."""
    count = values.shape[axis]
    first, last = values.narrow(axis, 0, 1), values.narrow(axis, count - 1, 1)
    phases = []
    for phase in range(factor):
        offset = (phase - site) / factor
        if not offset:
            phases.append(values)
            continue
        inner = values.narrow(axis, int(offset > 0), count - 1)
        other = torch.cat([inner, last] if offset > 0 else [first, inner], axis)
        phases.append(values.lerp(other, abs(offset)))
    whole = torch.stack(phases, axis).flatten(axis - 1, axis)
    if whole.shape[axis] < size:  # a bottom field may lack the last cell
        whole = torch.cat([whole, *[last] * (size - whole.shape[axis])], axis)
    return whole.narrow(axis, 0, size)


def _downsampled(values: Tensor, layout: PlaneLayout) -> Tensor:
    """A change (2, H, W) on the luma grid, averaged around each chroma sample."""
    for axis, factor, site in yuv.coarser(layout):
        cells = torch.unflatten(values, axis + 1, (-1, factor)).unbind(axis + 2)
        if factor != 2 or site != 0:
            values = torch.stack(cells).mean(0)
            continue
        near, far = cells  # a sample on the first pixel takes a centred tent
        before = [near.narrow(axis + 1, 0, 1), far.narrow(axis + 1, 0, far.shape[axis + 1] - 1)]
        values = 0.5 * near + 0.25 * (far + torch.cat(before, axis + 1))
    return values
