"""Methods whose networks see RGB pictures, gray ones or a mosaic's four colours: what they change
of those becomes a change of a file's own planes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Self

from torch import Tensor, nn

from f2rcli import yuv
from f2rcli.frames import PlaneLayout
from f2rcli.methods.base import Method, Prepared, Run
from f2rcli.models.flow import halved
from f2rcli.noise.model import NoiseModel, PlaneNoise
from f2rcli.planes import pack, packing, unpack
from f2rcli.weights import Header, Weights
from f2rcli.window import Window


class RgbMethod(Method):
    """A method of pictures (1, C, H, W), which it makes of packed planes."""

    def __init__(self, networks: Any, run: Run) -> None:
        self.networks, self._run = networks, run
        self._made: dict[tuple[int, ...], Tensor] = {}  # by frames, see `by_threes`

    @classmethod
    def built(cls, header: Header) -> nn.Module:
        """The networks of a header, not filled yet."""
        raise NotImplementedError

    @classmethod
    def of(cls, weights: Weights, run: Run) -> Self:
        """Build and fill the networks of a header. Raises WeightsError if tensors do not fit it."""
        return cls(weights.network(lambda: cls.built(weights.header)), run)

    @classmethod
    def from_weights(cls, weights: Weights, run: Run, source: PlaneLayout) -> Method:
        method = cls.of(weights, run)
        method.see(source, weights.header.channels)
        return method

    def see(self, source: PlaneLayout, channels: int) -> None:
        """Take planes of this layout. channels: that networks see; gray is shown as many times."""
        self._layout, self._stored, self._channels = packing(source), source, channels
        rows, columns = self._layout.planes[-1]
        self._source = replace(source, log2_chroma=(2 - columns, 2 - rows))

    def estimated(self, noisy: Tensor) -> Tensor:
        """A picture restored by itself, at least as far as cuts and motion ask for it."""
        raise NotImplementedError

    def restored(self, window: Window[Prepared], noise: NoiseModel) -> Tensor:
        """The picture in the centre of a window restored."""
        raise NotImplementedError

    def prepared(self, index: int, noisy: Tensor) -> Prepared:
        """A picture by itself; called once per frame, in order."""
        return as_prepared(index, noisy, self.estimated(noisy))

    def by_threes(
        self, window: Window[Prepared], make: Callable[[Sequence[Prepared]], Tensor]
    ) -> list[Tensor]:
        """What is made of every three in a row of the five frames around a window's centre, once
        while these are in windows. A shot's first and last frames see it mirrored about them."""
        oldest = window.items[0].index
        self._made = {key: one for key, one in self._made.items() if min(key) >= oldest}
        frames, found = window.around(2), []
        for three in (frames[i : i + 3] for i in range(3)):
            key = tuple(frame.index for frame in three)
            if key not in self._made:
                self._made[key] = make(three)
            found.append(self._made[key])
        return found

    def forget_from(self, index: int) -> None:
        self._made = {key: one for key, one in self._made.items() if max(key) < index}

    def prepare(self, index: int, noisy: Tensor, told: PlaneNoise) -> Prepared:
        seen = yuv.joined(unpack(self._layout, noisy[0]), self._source)
        picture = seen[None].expand(-1, self._channels, -1, -1).contiguous()
        return replace(self.prepared(index, picture), kept=noisy)

    def restore(self, window: Window[Prepared], told: PlaneNoise) -> Tensor:
        seen = told.picture(self._stored, self._channels)
        centre, done = window.centre, self.restored(window, seen)
        assert centre.kept is not None  # prepared above
        change = done - centre.noisy
        if len(self._layout.planes) == 1:
            change = change.mean(1, keepdim=True)
        return centre.kept + pack(self._layout, yuv.parted(change[0], self._source))[None]


def as_prepared(index: int, noisy: Tensor, coarse: Tensor) -> Prepared:
    """A picture and its estimate, with what cuts and motion are looked for in."""
    luma = coarse[0].detach().mean(0).float().cpu()
    return Prepared(index, noisy, coarse, halved(luma[None, None]))
