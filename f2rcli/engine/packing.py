"""Frames as networks see them, packed planes, and what networks changed as changes of planes."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from f2rcli.frames import Family, PlaneLayout
from f2rcli.planes import Layout, pack, packing, unpack


@dataclass(frozen=True)
class Packing:
    """How pictures of one stream are packed, and unpacked again.

    Pictures grow by their last rows and columns to whole cells, and to as many of them as networks
    work on. Chroma on a grid that has no packing is interpolated onto a finer one that has, and
    what networks change of it is averaged back.
    """

    source: PlaneLayout
    stride: int = 1  # cells that height and width are a multiple of

    @property
    def layout(self) -> Layout:
        """What pictures are packed as."""
        return packing(self.source)

    def packed(self, planes: Sequence[Tensor]) -> Tensor:
        """A frame's planes (H, W) in units of their own, see `planes_of` -> (1, C, h, w)."""
        height, width = (-(-side // (2 * self.stride)) * self.stride for side in planes[0].shape)
        wanted = [(rows * height, columns * width) for rows, columns in self.layout.planes]
        grown = [
            _grown(self._finer(plane, index), size)
            for index, (plane, size) in enumerate(zip(planes, wanted, strict=True))
        ]
        return pack(self.layout, grown)[None]

    def planes(self, packed: Tensor, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
        """A packed picture or a change of it (1, C, h, w) -> planes of these shapes (H, W)."""
        found = []
        for index, plane in enumerate(unpack(self.layout, packed[0])):
            found.append(self._coarser(plane, index)[: shapes[index][0], : shapes[index][1]])
        return found

    def _factors(self, index: int) -> tuple[int, int]:
        """How many times finer a plane is packed than it is stored, down and across."""
        if self.source.family is not Family.YUV or not index:
            return 1, 1
        rows, columns = self.layout.planes[index]
        across, down = self.source.log2_chroma
        return rows * 2**down // 2, columns * 2**across // 2

    def _finer(self, plane: Tensor, index: int) -> Tensor:
        factors = self._factors(index)
        if factors == (1, 1):
            return plane
        scaled = functional.interpolate(
            plane[None, None], scale_factor=factors, mode="bilinear", align_corners=False
        )
        return scaled[0, 0]

    def _coarser(self, plane: Tensor, index: int) -> Tensor:
        factors = self._factors(index)
        return plane if factors == (1, 1) else functional.avg_pool2d(plane[None], factors)[0]


def _grown(plane: Tensor, size: tuple[int, int]) -> Tensor:
    """A plane whose last row and column are repeated up to a size; what is beyond it is cut."""
    plane = plane[: size[0], : size[1]]
    rows, columns = (wanted - has for wanted, has in zip(size, plane.shape, strict=True))
    if not rows and not columns:
        return plane
    return functional.pad(plane[None, None], (0, columns, 0, rows), "replicate")[0, 0]
