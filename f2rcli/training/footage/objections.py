"""Reasons not to train on footage, told by its noise."""

import cv2
import numpy as np

from f2rcli.engine.noise.measurement import FRAMES
from f2rcli.errors import InputError
from f2rcli.noise.measurement.spectrum import REACH, Spectrum
from f2rcli.noise.report import GRAY, NoiseReport
from f2rcli.training.footage.footage import Footage
from f2rcli.training.footage.noise import shared
from f2rcli.training.footage.windows import is_clipped

DEPENDENT = 0.12  # correlation of adjacent frames; where they are independent 0.1 is found at most
# Pixels apart, farther than the filters of fresh noise reach to either side, and half of what their
# noise may correlate by: that is what spectra keep there. Grain has none, streaks of tape 0.3.
FAR, FAR_CORRELATED = REACH // 2, 0.1
# Correlation of pixels one or two apart in noise that a filter, or film, left coarse: 0.3 and more;
# white noise has none.
COARSE = 0.2
MOST_CUT = 0.1  # of the samples: what noise may drive beyond black and white
COLOURED = 4 / 255  # mean distance of a picture's channels; gray ones as files hold them have 1


def check_noise(footage: list[Footage], noise: list[NoiseReport | None]) -> None:
    """Raise InputError where nothing can be measured or nothing is noisy."""
    seen = [r for r in noise if r is not None]
    if not seen:
        raise InputError(
            f"{footage[0].name}: its noise cannot be measured: too few different frames, "
            "or too small ones.",
            hint="Pass a clip with four frames or more of one shot.",
        )
    if not any(report.noisy for report in seen):
        raise InputError(
            f"{footage[0].name}: no measurable noise "
            f"(sigma {255 * max(seen[0].model.sigma):.2f} of 255): there is nothing to learn from.",
            hint="Noise that all frames share, as a fixed pattern, counts as picture. "
            "For clean clips pass inputs_are_clean=True and noise=.",
        )


def objections(footage: list[Footage], noise: list[NoiseReport | None]) -> list[str]:
    """Reasons not to adapt, one for each unfit clip."""
    pairs = zip(footage, noise, strict=True)
    return [line for clip, report in pairs if (line := objection(clip, report))]


def objection(clip: Footage, report: NoiseReport | None) -> str | None:
    """Why training on this clip alone would teach its noise, or nothing; None where it would not.

    A codec changes the picture with the noise, and in every frame alike: held-out frames prefer
    what errs as it does, and no noise of their own says so (DESIGN.md D18).
    """
    if report is None:
        return f"{clip.name}: its noise could not be measured reliably"
    if not report.noisy:
        return f"{clip.name}: no measurable noise"
    if processed(clip, report):
        return (
            f"{clip.name}: its channels share their noise, as compression and cameras' own "
            "processing leave it; the bundled weights are trained on such noise"
        )
    if report.spectrum is not None and _streaked(report.spectrum):
        return (
            f"{clip.name}: pixels {FAR} apart share noise, and training cannot draw fresh noise "
            "like that; the bundled weights stay"
        )
    if not clip.sensor and clip.channels > 1 and _coloured(clip):
        if report.spectrum is None:
            return (
                f"{clip.name}: too small to tell whether neighbouring pixels share noise; "
                "the bundled weights stay"
            )
        if _coarse(report.spectrum):
            return (
                f"{clip.name}: neighbouring pixels share noise, as a filter leaves it; the bundled "
                "weights are trained on such noise"
            )
    if (cut := cut_off(clip)) > MOST_CUT:
        return (
            f"{clip.name}: black and white cut off the noise of {100 * cut:.0f} % of its samples, "
            "and held-out frames cannot judge those; the bundled weights stay"
        )
    correlation = shared(report.temporal)
    if abs(correlation) > DEPENDENT:
        return (
            f"{clip.name}: its noise is not independent from frame to frame "
            f"(correlation {correlation:.2f}); the bundled weights are kept"
        )
    return None


def processed(clip: Footage, report: NoiseReport) -> bool:
    """Whether the noise is what a codec or a camera's processing left of it. Of a gray clip, whose
    channels tell nothing, the file says it."""
    tells = report.spectrum is not None and clip.channels > 1
    shared_by_all = tells and report.channels_share >= GRAY
    return (
        report.processed
        or (clip.coded and not tells)
        or (shared_by_all and (clip.coded or _coloured(clip)))
    )


def cut_off(clip: Footage) -> float:
    """The share of samples that noise drove to black or white, beside others that are not there;
    what is saturated all around has none. Near white, held-out errors prefer weights that lose up
    to 0.1 dB, by ten standard errors (sam2_coffee at sigma 20, 13 % of the samples)."""
    if clip.sensor or not is_clipped(pictures := clip.read(slice(FRAMES))):
        return 0.0
    at = ((pictures <= 0) | (pictures >= 1)).astype(np.uint8)
    all_around = np.stack([cv2.erode(one, np.ones((3, 3), np.uint8)) for one in at])
    return float(at.mean() - all_around.mean())


def _coloured(clip: Footage) -> bool:
    """Whether pictures have colours. Then noise of luma alone is what a codec left of it (Motion
    JPEG took that of chroma out): fitted to that, weights lost 0.26 dB."""
    picture = clip.read(clip.shape[0] // 2)
    return bool(np.ptp(picture, axis=-1).mean() > COLOURED)


def _streaked(spectrum: Spectrum) -> bool:
    """Whether rows or columns share noise farther than the law's filters reach. Held-out targets
    would share it with what networks are shown, so that keeping it would score."""
    if spectrum.white:
        return False
    return _correlation(spectrum, FAR) > FAR_CORRELATED


def _coarse(spectrum: Spectrum) -> bool:
    """Whether pixels one or two apart share noise. What a median or a bilateral filter leaves
    depends on the picture; noise drawn in its colour does not, and weights fitted to that lost up
    to 0.34 dB while held-out frames saw a gain."""
    return _correlation(spectrum, 1, 2) > COARSE


def _correlation(spectrum: Spectrum, *apart: int) -> float:
    """The most that noise correlates by so many pixels apart, along rows or columns."""
    lags = np.fft.ifft2(spectrum.power).real
    found = np.stack([lag for at in apart for lag in (lags[:, 0, at], lags[:, at, 0])])
    return float((found / lags[:, 0, 0]).max())


def without_unfit(
    footage: list[Footage], noise: list[NoiseReport | None], notes: list[str], *, adapting: bool
) -> tuple[list[Footage], list[NoiseReport | None]]:
    """The clips, and their noise, that can be learnt from, and a note on the others; all of them
    where there are no others. A stack may have an empty channel beside a good one."""
    pairs = list(zip(footage, noise, strict=True))
    reasons = [objection(c, r) if adapting or r is None else None for c, r in pairs]
    fit = [pair for pair, reason in zip(pairs, reasons, strict=True) if reason is None]
    lines = [reason for reason in reasons if reason is not None]
    if not fit or not lines:
        return footage, noise
    more = f"; and {len(lines) - 2} more" if len(lines) > 2 else ""
    notes.append(f"left out: {'; '.join(lines[:2])}{more}")
    return [c for c, _ in fit], [r for _, r in fit]
