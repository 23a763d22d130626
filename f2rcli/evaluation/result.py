"""Results of an evaluation: clips, methods and metrics, frame by frame.

Plain values in frozen dataclasses, light to import; pages, tables, CSV and JSON are made of them.
Pictures are kept only where a report is wanted, and few (`ClipResult.pictures`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import numpy as np

from f2rcli.frames import Picture, Singles
from f2rcli.yuv import MOSAIC_PLANES

WHOLE = "all"  # the channel that stands for the picture as the metric's definition takes it
NOISY = "none"  # the method that changes nothing: the noisy input itself
CLEAN = ""  # in place of a method: the reference
CHANNELS = {3: ("r", "g", "b"), 1: (), 4: MOSAIC_PLANES}  # by the number of a picture's channels
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, of gamma-encoded RGB

FrameValues = tuple[float | None, ...]  # one per frame; None where a frame has none


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFacts:
    """A metric's name, unit and definition."""

    name: str  # as --metrics takes it
    title: str  # "PSNR"
    unit: str = ""  # "dB"; "" for a plain number
    better: str = "higher"  # higher, lower, or "" where neither is better as such
    digits: int = 2  # after the point, when shown
    reference: bool = True  # whether it needs a clean reference
    definition: str = ""  # formula, window, range, borders, source

    def best(self, values: Mapping[str, float]) -> float | None:
        """The best value that is known, by method; None where none is better than another.

        Without a reference the noisy input does not compete: it has lost no detail and changed no
        colour.
        """
        rivals = (value for name, value in values.items() if self.reference or name != NOISY)
        known = [value for value in rivals if not math.isnan(value)]
        if len(known) < 2 or not self.better:
            return None
        return max(known) if self.better == "higher" else min(known)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodFacts:
    """The method that made estimates: version, weights and settings."""

    name: str  # the key that results use: "f2r", "none", "ffmpeg-nlmeans", a given file's label
    title: str
    kind: str = "method"  # noisy, method, given or baseline
    version: str = ""
    weights: str = ""
    weights_sha256: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSeries:
    """One metric of one method on one clip."""

    # By channel: "all", unless its mean over channels would say nothing; where the metric has them
    # "r", "g", "b", "luma", or planes of a mosaic "R", "G1", "B", "G2". Frame i is place i.
    frames: Mapping[str, FrameValues]
    clip: Mapping[str, float]  # by channel: the clip's value, mostly the mean over frames

    @property
    def value(self) -> float:
        """The clip's value; inf for identical pictures, nan where it could not be measured."""
        return self.clip.get(WHOLE, math.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodResult:
    """One method on one clip."""

    method: str
    metrics: Mapping[str, MetricSeries] = field(default_factory=dict)  # by name
    seconds_per_frame: float | None = None  # of denoising alone; None where nothing was timed
    noise: Mapping[str, Any] | None = None  # left in the estimate: NoiseReport.values()
    failed: str | None = None  # why there are no values, in a line
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    role: str  # clean, noisy or denoised
    path: str  # as given
    sha256: str = ""  # of a file's bytes, or of names and bytes of a folder


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportImage:
    """A picture, one pixel to one of the clip's."""

    kind: str
    frame: int  # from 0
    method: str  # CLEAN for the reference
    size: tuple[int, int]  # width, height
    gain: float = 1  # what differences are multiplied by
    data: bytes = field(repr=False)  # a PNG or WebP file


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipResult:
    """One clip with one noise."""

    name: str
    group: str = ""  # clips that are averaged together: a noise, an ISO; "" where there is one
    width: int  # of the pictures that were compared
    height: int
    frames: int
    space: str  # rgb, gray or bayer
    noise_made: str = ""  # the noise that was added, as --noise took it; "" where none was
    files: tuple[FileFacts, ...] = ()
    methods: tuple[MethodResult, ...] = ()
    noise: Mapping[str, Any] | None = None  # of the noisy input: NoiseReport.values()
    pictures: tuple[ReportImage, ...] = ()  # what a report shows; never in JSON
    notes: tuple[str, ...] = ()

    def of(self, method: str) -> MethodResult | None:
        return next((result for result in self.methods if result.method == method), None)

    def value(self, method: str, metric: str) -> float:
        """The clip's value; nan where there is none."""
        result = self.of(method)
        if result is None or metric not in result.metrics:
            return math.nan
        return result.metrics[metric].value


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A row that others published for a benchmark."""

    title: str  # "FastDVDnet (supervised)"
    source: str  # the paper and table
    values: Mapping[str, Mapping[str, float]]  # by group, by metric


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkFacts:
    """The benchmark that was run, and what others reached on it."""

    name: str
    title: str
    protocol: tuple[str, ...]  # one sentence each: frames, noise, borders, clipping
    complete: bool  # whether all of it was there: only then rows compare
    published: tuple[Published, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """All results of one run of `f2r eval`."""

    kind: str  # reference, synthetic or blind
    metrics: tuple[MetricFacts, ...]
    methods: tuple[MethodFacts, ...]
    clips: tuple[ClipResult, ...]
    settings: Mapping[str, Any]  # every option that changes a value, JSON values only
    versions: Mapping[str, str]  # f2r, python, torch, ...
    machine: str = ""
    started: str = ""  # ISO 8601, UTC
    seconds: float = 0.0
    command: str = ""
    benchmark: BenchmarkFacts | None = None
    notes: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of clips, in order of appearance."""
        return tuple(dict.fromkeys(clip.group for clip in self.clips))

    def method(self, name: str) -> MethodFacts:
        return next(method for method in self.methods if method.name == name)

    def mean(self, method: str, metric: str, group: str | None = None) -> float:
        """The mean over clips (of one group, or of all) of the clips' values.

        nan where any is missing: a mean over fewer clips than its neighbour's would compare what
        cannot be compared.
        """
        clips = [clip for clip in self.clips if group is None or clip.group == group]
        return fmean(clip.value(method, metric) for clip in clips) if clips else math.nan

    def seconds_per_frame(self, method: str, group: str | None = None) -> float | None:
        """Mean time of a method per frame; None if it was not timed."""
        results = [c.of(method) for c in self.clips if group is None or c.group == group]
        times = [r.seconds_per_frame for r in results if r and r.seconds_per_frame is not None]
        return fmean(times) if times else None


def luma(picture: Picture) -> Singles:
    """Brightness (H, W) of RGB, gray, or packed Bayer planes R, G1, B, G2 (the greens' mean)."""
    if len(picture) == 3:
        weighed = (w * plane for w, plane in zip(LUMA, picture, strict=True))
        return np.asarray(sum(weighed), np.float32)
    if len(picture) == 4:
        return np.asarray((picture[1] + picture[3]) / 2, np.float32)
    return np.asarray(picture[0])
