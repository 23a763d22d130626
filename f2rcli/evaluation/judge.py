"""A blind score for anybody's denoiser: how far its results are from clean frames nobody has.

The clip's noise is measured, and more of it drawn: the denoiser is shown y + t n', which is the
clip a little noisier, and its results are held against y - n' / t. For Gaussian noise the errors
of the two are independent though y is one clip (recorrupted-to-recorrupted; Pang et al., CVPR
2021), so the squared error between them differs from that to the clean frames by a constant. Noise
that frames share undoes that: after x264 at crf 30 the input scored best, the clean clip last.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from os import PathLike
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from f2rcli import yuv
from f2rcli.errors import InputError, UsageError
from f2rcli.evaluation.frame_set import measure
from f2rcli.evaluation.metrics import psnr
from f2rcli.frames import Picture, in_cells
from f2rcli.io import ReadOptions, open_reader
from f2rcli.noise.spectrum import NoiseLaw

Stack = NDArray[np.float32]  # (T, H, W) or (T, H, W, 3)

RETURN = "Return as many frames as it was given, of their size, as an array of numbers."
TAU = 0.5  # t above: what is shown is 1.12 times as noisy, what it is held against 2.2 times
FRAMES = 16  # of a file
BLUR = 2.0  # pixels: brightness, on which noise depends, is that of a place
BLOCK = 32  # pixels per side of areas whose errors are taken for independent
RAIL = 3.0  # standard deviations from black and white within which the range cuts noise off


@dataclass(frozen=True, slots=True)
class Score:
    """The score of one denoiser on one clip."""

    error8: float  # estimated mean squared error to the clean frames, in 8-bit codes squared
    doubt8: float  # by which `error8` may be off, for all denoisers alike, if the noise is misread
    noisy8: float  # the same error of what the denoiser was shown
    sigma8: float  # the clip's noise as it was measured, in 8-bit codes
    passed: float  # share of the noise that is still in the results
    # `error8` area by area; nan where black or white cut the noise off
    blocks: NDArray[np.float64] = field(repr=False, compare=False)

    @property
    def psnr(self) -> float:
        """The error in decibels; inf where it is smaller than can be told from none."""
        return psnr(max(self.error8, 0.0) / 255**2)

    @property
    def gain(self) -> float:
        """Decibels by which results are nearer to the clean frames than what was shown."""
        return self.psnr - psnr(self.noisy8 / 255**2)

    def better_than(self, other: "Score") -> tuple[float, float]:
        """How much smaller this error is, in 8-bit codes squared, and its standard error.

        What is not known of the noise falls out of it but for what one denoiser lets through and
        the other does not, which is part of the standard error. Raises UsageError for other clips
        or seeds.
        """
        if self.blocks.shape != other.blocks.shape or self.noisy8 != other.noisy8:
            hint = "Judge both denoisers on the same clip, with the same seed."
            raise UsageError("scores of different clips or seeds cannot be compared.", hint=hint)
        apart = other.blocks - self.blocks
        spread = float(np.nanstd(apart, ddof=1)) / math.sqrt(np.isfinite(apart).sum())
        doubt = 2 * self.doubt8 * (other.passed - self.passed)
        return other.error8 - self.error8, math.hypot(spread, doubt)


def judge(
    function: Callable[[Stack], Any],
    clip: "str | PathLike[str] | NDArray[Any]",
    *,
    white: float | None = None,
    seed: int = 0,
) -> Score:
    """Score a denoiser on a noisy clip, without a clean one.

    function: takes frames (T, H, W) or (T, H, W, 3) as float32 and returns as many of the same
    shape. It is called once, with frames of the clip's own scale (0 is black) and a little noisier
    than the clip; they are not rounded or cut off at black and white.

    clip: an array (T, H, W) or (T, H, W, 3), or a file, whose first 16 frames are taken from 0,
    black, to 1, white. At least three different frames of one shot, 64 pixels a side.
    white: the value of white, else the largest one of an integer type, and 1 for floats.

    Raises InputError for clips whose noise cannot be measured, or is shared by frames, UsageError
    for a function that returns something else.
    """
    frames, white, rails = _frames(clip, white)
    if not np.isfinite(frames).all():
        raise InputError("clip: holds NaN or infinities.", hint="Judge a part without them.")
    pictures = [_planes(frame / np.float32(white)) for frame in frames]
    law, doubt = _measured(pictures)
    generator = torch.Generator().manual_seed(seed)
    smooth = (np.stack([cv2.GaussianBlur(p, (0, 0), BLUR) for p in one]) for one in pictures)
    signals = [torch.from_numpy(one.astype(np.float32))[None] for one in smooth]
    fresh = [law.sample(signal, generator)[0].numpy() for signal in signals]
    louder = (np.asarray(p + TAU * n, np.float32) for p, n in zip(pictures, fresh, strict=True))
    shown = np.stack([_pixels(picture) for picture in louder])
    given = function((np.float32(white) * shown).reshape(frames.shape))
    try:
        results = np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as why:
        raise UsageError(f"function: returned no array: {why}", hint=RETURN) from why
    if results.shape != frames.shape or results.dtype.kind not in "biuf":
        what = f"{type(given).__name__} {results.dtype} {results.shape}"
        raise UsageError(f"function: returned {what} for frames {frames.shape}.", hint=RETURN)
    results = results.astype(np.float32)
    if not np.isfinite(results).all():
        raise UsageError("function: returned NaN or infinities.", hint="Give every sample a value.")
    errors, variances, passed = [], [], []
    for signal, noise, picture, result in zip(signals, fresh, pictures, results, strict=True):
        level = law.level.level(signal)[0].numpy()
        apart = _planes(result / np.float32(white)) - picture
        # |result - y + n' / t|^2 without |n'|^2 / t^2, less the noise's own variance.
        error = apart * (apart + 2 * noise / TAU) - level**2
        bright, room = signal[0].numpy(), RAIL * level  # what is cut off has another mean
        inside = (bright > room) & (bright < 1 - room) if rails else np.True_
        errors.append(np.where(inside, error, np.nan))
        variances.append(np.where(inside, level**2, np.nan))
        passed.append(np.where(inside, apart * noise / TAU, np.nan))
    blocks = 255.0**2 * np.concatenate([_block_means(error) for error in errors])
    if np.isfinite(blocks).sum() < 2:
        raise InputError("the noise reaches black or white all over: there is nothing to judge.")
    variance = 255**2 * float(np.nanmean(variances))
    return Score(
        error8=255**2 * float(np.nanmean(errors)), doubt8=2 * doubt * variance,
        noisy8=(1 + TAU**2) * variance, sigma8=math.sqrt(variance),
        passed=255**2 * float(np.nanmean(passed)) / variance, blocks=blocks,
    )  # fmt: skip


def _frames(clip: Any, white: float | None) -> tuple[Stack, float, bool]:
    """The frames, their white, and whether values beyond black and white were cut off."""
    if isinstance(clip, str | PathLike):
        with open_reader(str(clip), ReadOptions(frames=FRAMES)) as reader:
            read = [np.float32(1) * yuv.to_rgb(frame) for frame in islice(iter(reader), FRAMES)]
        if read and len(read[0]) not in (1, 3):
            raise UsageError("mosaics cannot be judged.", hint="Pass developed pictures.")
        return np.stack([_pixels(picture) for picture in read]), 1.0, True
    array = np.asarray(clip)
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] != 3):
        what = f"clip: {array.shape} is neither (T, H, W) nor (T, H, W, 3)."
        raise UsageError(what, hint="Pass gray frames, or red, green and blue last.")
    whole = np.issubdtype(array.dtype, np.integer)
    if white is None:
        white = float(np.iinfo(array.dtype).max) if whole else 1.0
        if array.size and np.median(array) > white:
            raise UsageError("clip: most values are above white, 1.", hint="Pass white=, as 255.")
    return array.astype(np.float32), white, bool(whole)


def _measured(pictures: Sequence[Picture]) -> tuple[NoiseLaw, float]:
    """The law of the clip's noise, and the share by which its sigma may be off."""
    report = measure(pictures)
    if report is None or not report.noisy:
        raise InputError(
            "the clip's noise cannot be measured, or it has none.",
            hint="Take three or more different frames of one shot; pass white= where the values "
            "fill little of their type.",
        )
    if not report.independent:
        what = "the clip's frames share noise: the score would prefer what keeps it."
        hint = "Judge on footage that was neither compressed nor denoised before."
        raise InputError(what, hint=hint)
    return report.law, report.confidence.percent / 100


def _planes(frame: Stack) -> Picture:
    """(C, H, W) of (H, W) or (H, W, 3)."""
    return np.ascontiguousarray(frame[None] if frame.ndim == 2 else frame.transpose(2, 0, 1))


def _pixels(picture: Picture) -> Stack:
    """(H, W) or (H, W, 3) of (C, H, W)."""
    return picture[0] if len(picture) == 1 else np.ascontiguousarray(picture.transpose(1, 2, 0))


def _block_means(error: Picture) -> NDArray[np.float64]:
    """Means over areas of what is known; nan where that is less than half of one."""
    side = min(BLOCK, *error.shape[1:])
    cells = np.stack([in_cells(plane, side) for plane in error.astype(np.float64)])
    seen = np.isfinite(cells)
    sums = np.where(seen, cells, 0).sum((0, 2, 4))
    counts = seen.sum((0, 2, 4))
    known = counts > len(error) * side**2 / 2
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, sums / counts, np.nan)).ravel()
