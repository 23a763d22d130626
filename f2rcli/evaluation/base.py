"""The parts of an evaluation: clips, metrics, noise, baselines, benchmarks and observers.

Pictures are (C, H, W) float32, 0 = black, 1 = white: three channels RGB, one gray, or the four
packed planes of a mosaic. Everything streams: each frame is seen once and released.

Found by file name, as methods are: `metrics/<name>.py` has METRIC (a `Metric`),
`baselines/<name>.py` has BASELINES (a tuple of `Baseline`; --baselines takes the file's name or
one of theirs), `benchmarks/<name>.toml` describes a `Benchmark`.
`quantities/<name>.py` has METRICS, a group that measures simulated scenes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from f2rcli.evaluation.frame_set import FrameSet
from f2rcli.evaluation.result import ClipResult, FileFacts, MethodFacts, MetricFacts, MetricSeries
from f2rcli.evaluation.simulation.scene import Scene
from f2rcli.frames import ClipInfo, Frame, Mosaic, Picture, Space
from f2rcli.noise.synthesis.spec import NoiseSpec

if TYPE_CHECKING:
    from f2rcli.evaluation.visuals.images import ClipPictures


class OpenClip(Protocol):
    """An open clip: its facts, and its frames, to be read once. `f2rcli.io.Reader` is one."""

    info: ClipInfo

    def __iter__(self) -> Iterator[Frame]: ...


# Opens a clip; called once per pass, so a clip is never held in memory.
ClipOpener = Callable[[], AbstractContextManager[OpenClip]]


class Contestant(Protocol):
    """A denoiser that takes part: one of f2r's methods, or a baseline."""

    name: str  # the key that results use: "f2r", "ffmpeg-nlmeans"

    def denoise(
        self, frames: Iterable[Frame], info: ClipInfo, sigma8: float | None
    ) -> Iterator[Frame]:
        """Yield one frame for each, in the layout that came in or floats. sigma8: the noise's
        standard deviation in 8-bit units, if known. Raises F2RError for clips it cannot take."""

    def facts(self) -> MethodFacts:
        """Name, title, version, weights and settings; complete once a clip was denoised."""


class Baseline(Contestant, Protocol):
    """A third-party denoiser to compare with. If it fails, the others continue."""

    title: str  # "FFmpeg nlmeans, s=18"

    def available(self) -> str | None:
        """None if it can run here, else the reason and what to install, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One clip to evaluate, with everything known about it."""

    name: str
    group: str = ""
    reference: ClipOpener | None = None
    noisy: ClipOpener | None = None  # None where `noise` makes it of the reference
    noise: NoiseSpec | None = None
    given: Mapping[str, ClipOpener] = field(default_factory=dict)  # denoised by others, by label
    files: tuple[FileFacts, ...] = ()
    sigma8: float | None = None  # where the protocol tells methods the noise (baselines only)
    scene: Scene | None = None  # what was simulated, and the truth about it


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFacts:
    """Facts of a clip that a metric needs before its first frame."""

    space: Space
    rate: float | None = None  # frames per second
    mosaic: Mosaic | None = None  # of camera raw
    scene: Scene | None = None  # that was simulated
    device: str = "auto"  # where networks that measure run
    threads: int | None = None


class Meter(Protocol):
    """Measures one metric of one method on one clip."""

    def add(self, frame_set: FrameSet, estimate: Picture) -> None:
        """See the next frame's estimate; frames come in order."""

    def finish(self) -> MetricSeries:
        """Return the measurements. Called once, after the last frame."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric, as its file in `metrics` or `quantities` describes it."""

    facts: MetricFacts
    kind: Callable[[MetricFacts, ClipFacts], Meter | None]  # None: not defined for such clips
    # None if it can be measured here, else the reason and what to install
    available: Callable[[], str | None] = lambda: None
    spaces: tuple[Space, ...] = (Space.RGB, Space.GRAY, Space.BAYER)

    def meter(self, setting: ClipFacts) -> Meter | None:
        """A new meter, or None if the metric is not defined for such clips."""
        return self.kind(self.facts, setting) if setting.space in self.spaces else None


class Observer(Protocol):
    """Watches an evaluation: keeps pictures for a report, or writes a comparison video."""

    def begin(self, name: str, setting: ClipFacts, methods: tuple[str, ...]) -> None:
        """A clip begins; `methods` in display order, the noisy input ("none") first if any."""

    def see(self, frame_set: FrameSet, estimates: Mapping[str, Picture]) -> None:
        """The next frame and all estimates of it (without "none": that is `frame_set.noisy`)."""

    def end(self, result: ClipResult) -> "ClipPictures | None":
        """The clip is done. What is returned becomes the result's `pictures`."""
