"""Warnings about footage that teaches little, measured before the first step."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.measurement.spectrum import Spectrum
from f2rcli.noise.report import FEWEST_FRAMES, NoiseReport
from f2rcli.training.footage.footage import Footage
from f2rcli.training.footage.noise import shared
from f2rcli.training.footage.objections import processed
from f2rcli.training.footage.windows import channels_first

FEW_FRAMES = 8  # of all shots together
WEAK8 = 2.0  # sigma in codes: what denoising leaves
# The same where neighbouring pixels share at least so much of it: strong film grain has more.
WEAK_COARSE8, COARSE = 8.0, 0.5
AREA = 8  # pixels per side
UNIFORM = 2.0  # variance of areas' means beside that of noise alone
MOST = 3  # clips that are named


def caveats(footage: Sequence[Footage], noise: Sequence[NoiseReport | None]) -> list[str]:
    """Notes on footage that can be learnt from and will not teach all there is to learn."""
    clips = zip(footage, noise, strict=True)
    found = [line for clip, report in clips if report and (line := caveat(clip, report))]
    frames = sum(len(shot) for clip in footage for shot in clip.shots)
    few = (
        f"{frames} different frames with neighbours of their scene: few to learn from, and to "
        "judge by; 16 or more help"
    )
    more = [f"so are {len(found) - MOST} more clips"] if len(found) > MOST else []
    return [*found[:MOST], *more, *([few] if frames < FEW_FRAMES else [])]


def caveat(clip: Footage, report: NoiseReport) -> str | None:
    """What weights trained on a clip will lack, and what would help; None for nothing."""
    correlation = shared(report.temporal)
    if processed(clip, report):
        return (
            f"{clip.name}: its channels share {report.channels_share:.0%} of their noise, as "
            "compression and cameras' own processing leave it: weights learn to keep part of it; "
            "the recording from before that processing teaches more"
        )
    if not report.independent and correlation == report.temporal.fixed:
        return (
            f"{clip.name}: its noise stays at the same pixels from frame to frame (correlation "
            f"{correlation:.2f}), a fixed pattern: weights learn to keep it; footage with a dark "
            "frame subtracted teaches more"
        )
    if not report.independent:
        return (
            f"{clip.name}: its noise is not independent from frame to frame (correlation "
            f"{correlation:.2f}): weights learn to keep part of it; footage that was neither "
            "denoised nor compressed teaches more"
        )
    sigma8 = max(report.model.sigma8)
    if not clip.sensor and sigma8 < WEAK8:
        return (
            f"{clip.name}: its noise is weak (sigma {sigma8:.1f} of 255): weights learn little; "
            "if it was denoised before, the original teaches more"
        )
    if not clip.sensor and report.spectrum is not None and sigma8 < WEAK_COARSE8:
        coarse = _coarse(report.spectrum)
        if coarse > COARSE:
            return (
                f"{clip.name}: its noise is weak (sigma {sigma8:.1f} of 255) and neighbouring "
                f"pixels share {coarse:.0%} of it, as denoising and scaling leave it: weights "
                "learn little; the footage from before that teaches more"
            )
    if report.spectrum is None and report.frames >= FEWEST_FRAMES:
        _, height, width, _ = clip.shape
        return (
            f"{clip.name}: {width}x{height} pixels are too few to see whether neighbouring ones "
            "share noise: fresh noise is drawn white; a larger picture teaches more"
        )
    seen, alone = _variation(clip, report.law.first_channels(clip.channels))
    if seen**2 < UNIFORM * alone**2:
        return (
            f"{clip.name}: its picture is hardly more than noise (means over {AREA}x{AREA} pixels "
            f"vary by {255 * seen:.2g} of 255, those of noise alone by {255 * alone:.2g}): weights "
            "learn no detail; footage that shows some teaches more"
        )
    return None


def _coarse(spectrum: Spectrum) -> float:
    """Mean correlation of neighbouring pixels' noise."""
    lags = spectrum.rho_x + spectrum.rho_y
    return sum(lags) / len(lags)


def _variation(clip: Footage, law: NoiseLaw) -> tuple[float, float]:
    """Standard deviations of areas' means: of a picture, and of noise alone."""
    picture = channels_first(clip.read(clip.shape[0] // 2)[None])
    flat = picture.mean((2, 3), keepdim=True).expand_as(picture)
    noise = law.sample(flat, torch.Generator().manual_seed(0))
    return _deviation(picture - flat), _deviation(noise)


def _deviation(picture: Tensor) -> float:
    side = min(AREA, *picture.shape[-2:])
    return float(functional.avg_pool2d(picture, side).square().mean().sqrt())
