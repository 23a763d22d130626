"""What a method's own network says of a clip's noise, beside what blind anchors measure."""

from dataclasses import replace
from statistics import fmean

from torch import Tensor

from f2rcli.methods.base import Estimating
from f2rcli.noise.independence import Temporal
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.report import NoiseReport, confidence_of

UNSEEN = Temporal(None, None)  # of frames that could not be compared


def estimated(
    method: Estimating,
    pictures: list[Tensor],
    found: NoiseReport | None,
    rails: tuple[float, float],
) -> NoiseReport:
    """A report with the mean of the method's estimates of pictures (1, C, H, W) for its model.

    found: what was measured, whose spectrum and correlations are kept; None: nothing could be.
    rails: the shares of samples that are black and white.
    """
    models = [method.estimate_noise(picture) for picture in pictures]
    model = _mean(models)
    by_frame = tuple(fmean(one.sigma) for one in models)
    spectrum, temporal = (found.spectrum, found.temporal) if found else (None, UNSEEN)
    sure = confidence_of(model, spectrum, temporal, by_frame)
    if found is not None:
        return replace(
            found, model=model, by_frame=by_frame, confidence=sure, estimator=method.name,
            measured=found.model,
        )  # fmt: skip
    points = ((),) * len(model.sigma)
    return NoiseReport(
        model, points, None, UNSEEN, *rails, by_frame, len(pictures), sure, method.name
    )


def _mean(models: list[NoiseModel]) -> NoiseModel:
    """The mean of several models, of variances where it is of standard deviations."""

    def mean(part: str, power: int) -> tuple[float, ...]:
        columns = zip(*(getattr(model, part) for model in models), strict=True)
        return tuple(fmean(v**power for v in column) ** (1 / power) for column in columns)

    samples = sum(model.samples for model in models)
    return NoiseModel(mean("gain", 1), mean("read", 2), mean("sigma", 2), samples)
