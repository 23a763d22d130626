"""Windows of consecutive frames, cut at random from clips, with what is known of their noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2rcli.frames import Pictures
from f2rcli.models.fusion import smooth
from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.photons.counting import counts_events

CELL = 8  # crops begin on multiples of it
SWAPPED_GREENS = (0, 3, 2, 1)  # planes R, G1, B, G2 of a transposed mosaic


class Sample(NamedTuple):
    """One window. Pictures are (T, H, W, C)."""

    noisy: Pictures
    clean: Pictures | None  # None where nobody knows it
    level: Pictures  # the noise's standard deviation; 0 where it is not known
    law: NoiseLaw | None
    clipped: bool  # whether the clip's values end at black and white

    def turned(self, rng: np.random.Generator, *, in_time: bool = False) -> "Sample":
        """Flipped, transposed, and with `in_time` reversed, at random."""
        code = draw_turn(rng, self.noisy.shape[-1])
        order = slice(None, None, -1 if in_time and rng.integers(2) else 1)
        parts: dict[str, Any] = {
            name: dihedral(part, code)[order]
            for name in ("noisy", "clean", "level")
            if (part := getattr(self, name)) is not None
        }
        return self._replace(**parts)


@dataclass(frozen=True)
class Windows:
    """Runs of frames that windows are cut from, each with the law of its noise."""

    clips: Sequence[NDArray[Any]]  # (T, H, W, C)
    laws: Sequence[NoiseLaw | None]
    references: Sequence[NDArray[Any] | None]  # the clean ones
    clipped: Sequence[bool]  # whether a clip's values end at black and white

    @property
    def side(self) -> int:
        """Pixels of the shortest side of any clip."""
        return min(min(clip.shape[1:3]) for clip in self.clips)

    def window(self, rng: np.random.Generator, places: Sequence[int], crop: int) -> Sample:
        """These frames of a random place of a random clip, counted from the first of them. The
        level is that of the smoothed picture."""
        which = int(rng.integers(len(self.clips)))
        clip, law, reference = self.clips[which], self.laws[which], self.references[which]
        frames, height, width, _ = clip.shape
        first = int(rng.integers(frames - max(places)))
        top, left = (int(rng.integers((n - crop) // CELL + 1)) * CELL for n in (height, width))
        part = slice(top, top + crop), slice(left, left + crop)
        noisy, clean = (
            None if one is None else np.stack([one[first + p, *part] for p in places])
            for one in (clip, reference)
        )
        assert noisy is not None  # every clip has pictures
        noisy = noisy.astype(np.float32)
        level = np.zeros_like(noisy)
        if law is not None:
            level = channels_last(law.level.level(smooth(channels_first(noisy))))
        known = None if clean is None else clean.astype(np.float32)
        return Sample(noisy, known, level, law, self.clipped[which])


def dihedral(picture: NDArray[Any], code: int) -> NDArray[Any]:
    """One of eight flips and transposes of (..., H, W, C), a view: interpolation would change the
    noise. Packed mosaics allow codes 0 and 4 only (`draw_turn`)."""
    if code & 1:
        picture = picture[..., ::-1, :, :]
    if code & 2:
        picture = picture[..., :, ::-1, :]
    if not code & 4:
        return picture
    turned = np.swapaxes(picture, -3, -2)
    return turned[..., SWAPPED_GREENS] if picture.shape[-1] == 4 else turned


def draw_turn(rng: np.random.Generator, channels: int) -> int:
    """A code for `dihedral` at random; of packed mosaics (four channels) only transposing.

    In a cell R G / G B transposing leaves red and blue where they are and swaps the greens. A flip
    would move the planes by a cell against each other.
    """
    code = int(rng.integers(8))
    return code & 4 if channels == 4 else code


def channels_first(pictures: Pictures) -> Tensor:
    """(..., H, W, C) -> (..., C, H, W). A copy: to NumPy a reversed axis of one frame is
    contiguous, and torch takes no negative strides."""
    return torch.from_numpy(np.array(np.moveaxis(pictures, -1, -3), np.float32, order="C"))


def channels_last(pictures: Tensor) -> Pictures:
    """(T, C, H, W) -> (T, H, W, C)."""
    return pictures.permute(0, 2, 3, 1).float().cpu().numpy()


def is_clipped(clip: NDArray[Any]) -> bool:
    """Whether noise is clipped at black and white: in integer files, unless they count events."""
    return bool(clip.min() >= 0 and clip.max() <= 1) and not counts_events(np.asarray(clip))
