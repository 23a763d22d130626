"""The parts of an evaluation: clips, and denoisers that take part."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from f2rcli.evaluation.result import FileFacts, MethodFacts
from f2rcli.frames import ClipInfo, Frame, Mosaic, Space

if TYPE_CHECKING:
    from f2rcli.noise.synthesis.spec import NoiseSpec  # brings torch


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

    def available(self) -> str | None:
        """None if it can run here, else the reason and what to install, in one line."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFacts:
    """Facts of a clip that are known before its first frame."""

    space: Space
    mosaic: Mosaic | None = None  # of camera raw
    device: str = "auto"  # where networks that measure run
    threads: int | None = None
