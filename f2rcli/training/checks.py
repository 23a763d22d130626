"""What footage cannot teach, told by its noise: reasons not to adapt to it, and notes beside a run.

A codec changes the picture with the noise, and in every frame alike: held-out frames prefer what
errs as it does, and no noise of their own says so. So adapting refuses what may teach its own
noise; training from scratch, for which nothing better may exist, notes it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from f2rcli.errors import InputError
from f2rcli.evaluation.noise import FRAMES
from f2rcli.noise.report import GRAY, NoiseReport
from f2rcli.noise.spectrum import REACH, Spectrum
from f2rcli.training.footage import ROUNDED, Footage, is_clipped
from f2rcli.training.noise import shared
from f2rcli.yuv import to_rgb

DEPENDENT = 0.12  # correlation of adjacent frames; where they are independent 0.1 is found at most
# Pixels apart, farther than the filters of fresh noise reach to either side, and half of what their
# noise may correlate by: that is what spectra keep there. Grain has none, streaks of tape 0.3.
FAR, FAR_CORRELATED = REACH // 2, 0.1
# Correlation of pixels one or two apart in noise that a filter, or film, left coarse: 0.3 and more;
# white noise has none.
COARSE = 0.2
# Of luma's noise: chroma of 4:2:0 made of equal noise in R, G and B has 0.46 of it, and 0.1 or less
# of what x264 leaves at sigma 20 and 30 (davis_tennis, gopro_path).
WEAK_CHROMA = 0.25
MOST_CUT = 0.1  # of the samples: what noise may drive beyond black and white
COLOURED = 4 / 255  # mean distance of a picture's channels; gray ones as files hold them have 1
WEAK8 = 2.0  # sigma in codes: what denoising leaves
FEW_FRAMES = 8  # of all shots together
MOST = 3  # clips that are named


class Problem(NamedTuple):
    """What is wrong with a clip."""

    text: str
    refuses: bool = True  # False: weights can be fitted to the clip all the same
    noted: bool = True  # False: does no harm to weights that are trained on it from scratch


def fit_clips(
    footage: Sequence[Footage], noise: Sequence[NoiseReport | None], *, adapting: bool
) -> tuple[list[Footage], list[NoiseReport], list[str], str | None]:
    """The clips that can be learnt from, their noise, notes, and why not to adapt, if so.

    Where no clip is fit all whose noise is known stay. A stack may have an empty channel beside a
    good one. Raises InputError where nothing can be measured or nothing is noisy.
    """
    seen, fit, reasons = [], [], list[str]()
    for clip, report in zip(footage, noise, strict=True):
        if report is None:
            reasons.append(f"{clip.name}: its noise could not be measured reliably")
            continue
        seen.append((clip, report))
        wrong = (p.text for p in problems(clip, report) if p.refuses) if adapting else iter(())
        if reason := next(wrong, ""):
            reasons.append(f"{clip.name}: {reason}")
        else:
            fit.append((clip, report))
    if not seen:
        few = "too few different frames, or too small ones"
        what = f"{footage[0].name}: its noise cannot be measured: {few}."
        raise InputError(what, hint="Pass a clip with four frames or more of one shot.")
    if not any(report.noisy for _, report in seen):
        sigma8 = max(seen[0][1].model.sigma8)
        none = f"no measurable noise (sigma {sigma8:.2f} of 255): there is nothing to learn from"
        fixed = "Noise that all frames share, as a fixed pattern, counts as picture."
        hint = f"{fixed} For clips without noise pass noise=."
        raise InputError(f"{footage[0].name}: {none}.", hint=hint)
    notes: list[str] = []
    if fit and reasons:
        more = f"; and {len(reasons) - 2} more" if len(reasons) > 2 else ""
        notes.append(f"left out: {'; '.join(reasons[:2])}{more}")
    if not adapting:
        notes += _notes(fit)
    pairs = fit or seen
    return [c for c, _ in pairs], [r for _, r in pairs], notes, None if fit else reasons[0]


def _notes(pairs: Sequence[tuple[Footage, NoiseReport]]) -> list[str]:
    found = []
    for clip, report in pairs:
        noted = [p.text for p in problems(clip, report) if p.noted]
        found += [f"{clip.name}: {text}" for text in noted[:1]]
    frames = sum(len(shot) for clip, _ in pairs for shot in clip.shots)
    scant = "few to learn from, and to judge by; 16 or more help"
    few = f"{frames} different frames with neighbours of their scene: {scant}"
    more = [f"so are {len(found) - MOST} more clips"] if len(found) > MOST else []
    return [*found[:MOST], *more, *([few] if frames < FEW_FRAMES else [])]


def problems(clip: Footage, report: NoiseReport) -> Iterator[Problem]:
    """What is wrong with a clip, the worst first; each text also says what would help."""
    spectrum, correlation = report.spectrum, shared(report.temporal)
    if not report.noisy:
        yield Problem("no measurable noise")
    if processed(clip, report):
        yield Problem(
            "its channels share their noise, as compression and cameras' own processing leave it: "
            "the bundled weights know such noise, others learn to keep part of it; the recording "
            "from before teaches more", noted=not _as_captured(report),
        )  # fmt: skip
    if spectrum is not None and not spectrum.white and _correlation(spectrum, FAR) > FAR_CORRELATED:
        # Held-out targets would share it with what networks are shown, so that keeping it scores.
        alike = f"pixels {FAR} apart share noise"
        yield Problem(f"{alike}, and training cannot draw fresh noise like that")
    if not clip.sensor and spectrum is None:
        height, width = (clip.cell * side for side in clip.shape[2:])
        yield Problem(
            f"{width}x{height} pixels are too few to tell whether neighbouring pixels share noise; "
            "a larger picture teaches more", refuses=clip.channels > 1 and _coloured(clip),
        )  # fmt: skip
    if spectrum is not None and _correlation(spectrum, 1, 2) > COARSE and not clip.sensor:
        # What a median or a bilateral filter leaves depends on the picture; noise drawn in its
        # colour does not: weights fitted to that lost up to 0.34 dB while held-out frames saw a
        # gain. Strong film grain is coarse as well, and can be learnt.
        weak = max(report.model.sigma8) < 4 * WEAK8
        yield Problem(
            "neighbouring pixels share noise, as denoising and scaling leave it; the footage from "
            "before that teaches more", refuses=clip.channels > 1 and _coloured(clip), noted=weak,
        )  # fmt: skip
    if (cut := cut_off(clip)) > MOST_CUT:
        yield Problem(
            f"black and white cut off the noise of {100 * cut:.0f} % of its samples, and held-out "
            "frames cannot judge those", noted=False,
        )  # fmt: skip
    if correlation > DEPENDENT or not report.independent:
        yield Problem(
            f"its noise is not independent from frame to frame (correlation {correlation:.2f}): "
            "weights learn to keep part of it; footage that was neither denoised nor compressed, "
            "or from which a dark frame was subtracted, teaches more",
            refuses=correlation > DEPENDENT, noted=not report.independent,
        )  # fmt: skip
    if not clip.sensor and (sigma8 := max(report.model.sigma8)) < WEAK8:
        yield Problem(f"its noise is weak (sigma {sigma8:.1f} of 255): little to learn", False)


def processed(clip: Footage, report: NoiseReport) -> bool:
    """Whether the noise is what a codec or a camera's processing left of it. Of a gray clip, whose
    channels tell nothing, the file says it."""
    tells = report.spectrum is not None and clip.channels > 1
    shared_by_all = tells and report.channels_share >= GRAY
    if report.processed or (clip.coded and not tells):
        return True
    return shared_by_all and (clip.coded or _coloured(clip))


def _as_captured(report: NoiseReport) -> bool:
    """Whether planes of Y'CbCr hold noise as R, G and B gave it: only their grid is coarser."""
    if not report.by_plane or report.planes is None:
        return False
    luma, *chroma = report.planes.model.sigma
    seen = report.by_plane[-1]
    coarse = max(seen.rho_x[1:] + seen.rho_y[1:]) > COARSE
    return not coarse and min(chroma) > WEAK_CHROMA * luma


def cut_off(clip: Footage) -> float:
    """The share of samples that noise drove to black or white, beside others that are not there;
    what is saturated all around has none. Near white, held-out errors prefer weights that lose up
    to 0.1 dB, by ten standard errors (sam2_coffee at sigma 20, 13 % of the samples)."""
    frames = range(min(FRAMES, clip.shape[0]))
    if not is_clipped(clip, frames):
        return 0.0
    pictures = np.stack([to_rgb(clip.frame(number)) for number in frames])
    at = ((pictures <= ROUNDED) | (pictures >= 1 - ROUNDED)).astype(np.uint8)
    flat = at.reshape(-1, *at.shape[2:])
    all_around = np.stack([cv2.erode(one, np.ones((3, 3), np.uint8)) for one in flat])
    return float(at.mean() - all_around.mean())


def _coloured(clip: Footage) -> bool:
    """Whether pictures have colours. Then noise of luma alone is what a codec left of it (Motion
    JPEG took that of chroma out): fitted to that, weights lost 0.26 dB."""
    picture = to_rgb(clip.frame(clip.shape[0] // 2))
    return bool(np.ptp(picture, axis=0).mean() > COLOURED)


def _correlation(spectrum: Spectrum, *apart: int) -> float:
    """The most that noise correlates by so many pixels apart, along rows or columns."""
    lags = np.fft.ifft2(spectrum.power).real
    found = np.stack([lag for at in apart for lag in (lags[:, 0, at], lags[:, at, 0])])
    return float((found / lags[:, 0, 0]).max())
