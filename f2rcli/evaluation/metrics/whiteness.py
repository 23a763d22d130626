"""Whiteness of the removed signal."""

import numpy as np

from f2rcli.evaluation.base import Metric
from f2rcli.evaluation.frame_set import FrameSet
from f2rcli.evaluation.measures.meters import ChannelValues, FrameMeter
from f2rcli.evaluation.measures.residual import flatness, patches, power
from f2rcli.evaluation.result import WHOLE, MetricFacts, MetricSeries
from f2rcli.frames import Picture

FACTS = MetricFacts(
    name="whiteness",
    title="Whiteness removed",
    better="",
    digits=3,
    reference=False,
    definition="Spectral flatness of noisy - estimate: geometric over arithmetic mean of its "
    "power spectrum without zero frequency, from up to 64 patches of 32 x 32 per frame, mean of "
    "the channels' spectra; a clip's value is that of its frames' mean spectrum. 1 is white. "
    "Compare it with the noise's own colour: taking coloured noise out leaves a coloured "
    "residual.",
)


class WhitenessMeter(FrameMeter):
    """Flatness per frame, and of the mean spectrum for the clip."""

    total: np.ndarray[tuple[int, ...], np.dtype[np.float64]] | float = 0.0

    def measure(self, frame_set: FrameSet, estimate: Picture) -> ChannelValues | None:
        if frame_set.noisy is None or frame_set.noisy is estimate:
            return None
        spectra = [
            power(each)
            for plane in (frame_set.noisy - estimate).astype(np.float64)
            if len(each := patches(plane))
        ]
        if not spectra:
            return None
        spectrum = np.mean(spectra, axis=0)
        self.total = self.total + spectrum
        return {WHOLE: flatness(spectrum)}

    def finish(self) -> MetricSeries:
        series = super().finish()
        if isinstance(self.total, float):
            return series
        return MetricSeries(
            metric=series.metric, frames=series.frames, clip={WHOLE: flatness(self.total)}
        )


METRIC = Metric(FACTS, WhitenessMeter)
