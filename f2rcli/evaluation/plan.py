"""The choices of an evaluation, checked before anything is read."""

from dataclasses import dataclass, field
from typing import Any

from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import UsageError
from f2rcli.evaluation import metrics
from f2rcli.settings import settings_of

# What --baselines takes: groups, and single denoisers.
BASELINES: dict[str, tuple[str, ...]] = {
    "ffmpeg": ("ffmpeg-nlmeans", "ffmpeg-bm3d"),
    "opencv": ("opencv-nlm",),
    "vapoursynth": ("vapoursynth-vbm3d",),
}
BASELINES |= {name: (name,) for names in [*BASELINES.values()] for name in names}


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
