"""A run's changes to its recipe's stages, from `--stage` and from run files."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from f2rcli.errors import ConfigError, UsageError, nearest
from f2rcli.settings import check, setting, settings_of

SMALLEST_CROP, CROP_STEP = 32, 16  # pixels; the networks halve the grid four times at most


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOverrides:
    """Changes to one stage of a recipe; None keeps the recipe's value."""

    steps: int | None = setting(None, "Training steps; 0 leaves the stage out.", low=0, high=10**9)
    lr: float | None = setting(None, "Peak learning rate.", low=1e-8, high=1)
    batch: int | None = setting(None, "Samples per step, over all processes.", low=1, high=4096)
    crop: int | None = setting(None, "Pixels per side.", low=SMALLEST_CROP, high=4096)
    minutes: float | None = setting(
        None, "Minutes of training, over all sessions.", low=0.01, high=10**6
    )
    clips: int | None = setting(
        None, "Clips degraded in advance, where the recipe does that.", low=1, high=10**6
    )

    def __post_init__(self) -> None:
        check(self)
        if self.crop is not None and self.crop % CROP_STEP:
            raise ConfigError(f"crop={self.crop}: must be a multiple of {CROP_STEP}.")

    @classmethod
    def of(cls, name: str, table: Mapping[str, Any]) -> "StageOverrides":
        """Parse a `[stage.NAME]` table; raises ConfigError that names the stage and the key."""
        known = list(settings_of(cls))
        for key in table:
            if key not in known:
                raise ConfigError(f"stage.{name}: unknown key {key!r}.", hint=nearest(key, known))
        try:
            return cls(**table)
        except UsageError as error:
            raise ConfigError(f"stage.{name}.{error}", hint=error.hint) from error


def stages_from(tables: Any, *, name: str) -> dict[str, StageOverrides]:
    """`[stage.NAME]` tables as overrides; raises ConfigError."""
    if not isinstance(tables, Mapping) or not all(isinstance(t, Mapping) for t in tables.values()):
        raise ConfigError(
            f"{name}: stage: must be tables.", hint="Write [stage.NAME], steps = 500."
        )
    return {stage: StageOverrides.of(stage, table) for stage, table in tables.items()}


def asked_overrides(name: str, options: Sequence[str]) -> dict[str, StageOverrides]:
    """The overrides of `["anchor.steps=500", ...]`; raises UsageError."""
    tables: dict[str, dict[str, Any]] = {}
    for option in options:
        path, equals, text = option.partition("=")
        stage, dot, key = path.strip().rpartition(".")
        if not (equals and dot and stage and key):
            raise UsageError(
                f"{name}={option!r}: not NAME.KEY=VALUE.",
                hint=f"For example {name}='anchor.steps=500'.",
            )
        tables.setdefault(stage, {})[key] = _value(text)
    return stages_from(tables, name=name)


def _value(text: str) -> int | float | str:
    """The number that is written, or else the text, which no stage takes."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text
