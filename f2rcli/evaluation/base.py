"""The parts of an evaluation: clips, and denoisers that take part."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from f2rcli import methods
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import UsageError
from f2rcli.evaluation import metrics
from f2rcli.evaluation.result import NOISY, FileFacts, MethodFacts
from f2rcli.frames import ClipInfo, Frame
from f2rcli.settings import Setting, settings_of

if TYPE_CHECKING:
    from f2rcli.noise.synthesis.spec import NoiseSpec  # brings OpenCV


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One clip to evaluate, with everything known about it."""

    name: str
    group: str = ""
    reference: ClipOpener | None = None
    noisy: ClipOpener | None = None  # None where `noise` makes it of the reference
    noise: "NoiseSpec | None" = None
    given: Mapping[str, ClipOpener] = field(default_factory=dict)  # denoised by others, by label
    files: tuple[FileFacts, ...] = ()


# --- What is asked for ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every choice that changes a value. Raises UsageError for names that do not exist."""

    metrics: tuple[str, ...] = ()  # (): what suits the kind of evaluation
    methods: tuple[str, ...] = ()  # of f2r's, "none" among them; made here, from the noisy input
    baselines: tuple[str, ...] = ()
    seed: int = 0
    clipped: bool = True  # noise made on the spot: 8-bit codes; False: floats, as papers do
    frames: int | None = None  # at most this many of each clip
    engine: EngineSettings = field(default_factory=EngineSettings)  # but for the method

    def __post_init__(self) -> None:
        metrics.check(self.metrics)
        for name in self.methods:
            Setting(choices=[*methods.available(), NOISY]).check("methods", name)
        made = [name for name in self.methods if name != NOISY]
        if self.engine.weights is not None and len(made) != 1:
            raise UsageError(
                f"weights={self.engine.weights}: for which of {', '.join(made) or 'no'} methods?",
                hint="Pass one method with methods=.",
            )
        if self.seed < 0:
            raise UsageError(f"seed={self.seed}: must be 0 or more.")

    def values(self) -> dict[str, Any]:
        """The plan as JSON values, for the report."""
        named = [name for name in settings_of(EngineSettings) if name != "method"]
        engine = {name: getattr(self.engine, name) for name in named}
        return {
            "seed": self.seed, "clipped": self.clipped, "frames": self.frames,
            **{name: value for name, value in engine.items() if value is not None},
        }  # fmt: skip
