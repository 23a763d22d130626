"""Validated configuration of a training run."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast, get_args

from f2rcli import methods, weights
from f2rcli.errors import ConfigError, WeightsError, nearest
from f2rcli.frames import Space
from f2rcli.io.base import FieldMode, ReadOptions
from f2rcli.system.machine import MOST_THREADS
from f2rcli.training.methods import Capabilities, capabilities_of
from f2rcli.training.run.quantities import size_in_bytes, span_in_seconds

ADAPT = {"fast": "a minute of training on the clip itself", "full": "several minutes of it"}
COLOURS = ("rgb", "gray", "bayer")
SPACES = ("auto", *COLOURS)
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
SCRATCH = "scratch"
FRACTIONS = {"lr", "minutes"}  # of a stage; its other numbers are whole
SMALLEST_CROP, CROP_STEP = 32, 16  # pixels; the networks halve the grid four times at most
RANGES = {  # of a run's numbers
    "held_out": (2, 1000), "minutes": (0.01, 10**6), "seed": (0, 2**63 - 1), "jobs": (0, 4096),
    "threads": (1, MOST_THREADS), "log_every": (1, 10**9), "validate_every": (1, 10**9),
}  # fmt: skip

# What may differ between a run and its continuation, because the result does not depend on it
# (threads, jobs and device change sums in their last bits, and a resumed run may have moved).
MAY_CHANGE = frozenset(
    {"output", "run", "resume", "overwrite", "time_limit", "threads", "jobs", "memory", "device",
     "log_every"}
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOverrides:
    """Changes to one stage of a recipe; None keeps the recipe's value."""

    steps: int | None = None  # 0 leaves the stage out
    lr: float | None = None  # peak
    batch: int | None = None  # samples per step, over all processes
    crop: int | None = None  # pixels per side
    minutes: float | None = None  # of training, over all sessions: a schedule by the clock
    clips: int | None = None  # degraded in advance for the stage, where its recipe does that

    def __post_init__(self) -> None:
        _check_range("steps", self.steps, 0, 10**9)
        _check_range("lr", self.lr, 1e-8, 1.0)
        _check_range("batch", self.batch, 1, 4096)
        _check_range("crop", self.crop, SMALLEST_CROP, 4096)
        _check_range("minutes", self.minutes, 0.01, 10**6)
        _check_range("clips", self.clips, 1, 10**6)
        if self.crop is not None and self.crop % CROP_STEP:
            raise ConfigError(f"crop = {self.crop}: must be a multiple of {CROP_STEP}.")

    @classmethod
    def of(cls, name: str, table: Mapping[str, Any]) -> "StageOverrides":
        """From a `[stage.NAME]` table; raises ConfigError that names the stage and the key."""
        known = {f.name: float if f.name in FRACTIONS else int for f in fields(cls)}
        for key, value in table.items():
            if key not in known:
                raise ConfigError(
                    f"stage.{name}: unknown key {key!r}.", hint=nearest(key, list(known))
                )
            if isinstance(value, bool) or not isinstance(value, int | known[key]):
                raise ConfigError(f"stage.{name}.{key} = {value!r}: must be a number.")
        try:
            return cls(**table)
        except ConfigError as error:
            raise ConfigError(f"stage.{name}.{error}", hint=error.hint) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One `f2r train`. Every field but the paths has a default; text is kept as it was written.

    Raises ConfigError for what is unknown, out of range, or contradicts itself.
    """

    inputs: tuple[str, ...]  # files, folders or patterns, as for `f2r denoise`
    output: str  # .safetensors
    method: str = methods.DEFAULT
    recipe: str = "self-supervised"
    variant: str | None = None  # of the method's networks and losses; None: its first
    # bundled name, path, scratch, rgb, gray or bayer; None: scratch, or what is bundled with adapt
    init: str | None = None
    adapt: str | None = None  # fast, full; None: no adaptation
    inputs_are_clean: bool = False  # needs `noise`
    noise: str | None = None  # to add to clean inputs, such as gaussian:5-55
    space: str = "auto"
    axes: str | None = None  # of stacks; see ReadOptions, as for the next five
    series: str | None = None
    fields: str = "auto"
    start_at: float | None = None  # seconds
    end_at: float | None = None  # seconds
    frames: int | None = None  # of every clip
    size: str = "small"  # or widths, such as "24,48,96"
    length: int | None = None  # frames per window, centre included; None: the method's own
    stages: Mapping[str, StageOverrides] = field(default_factory=dict)
    held_out: int = 4  # frames per clip never trained on: to choose weights by, and to test them
    minutes: float | None = None  # of training, over all sessions, which the stages share
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None  # None: all
    jobs: int | None = None  # data workers; None: chosen by the number of cores
    memory: str = "2GiB"  # decoded frames held in memory at once
    time_limit: str | None = None  # such as 25m
    run: str | None = None  # None: beside the output
    log_every: int = 50  # steps
    validate_every: int = 200  # steps
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not self.inputs:
            raise ConfigError("no clips to train on.", hint="Name one: f2r train CLIP -o NAME.")
        _check_choice("method", self.method, methods.available())
        _check_choice("recipe", self.recipe, list(self.capabilities.recipes))
        _check_choice("space", self.space, list(SPACES))
        _check_choice("precision", self.precision, list(PRECISIONS))
        _check_choice("adapt", self.adapt, list(ADAPT))
        self._check_capabilities()
        _check_choice("fields", self.fields, list(get_args(FieldMode)))
        _ = self.read  # checks itself
        self._check_numbers()
        self._check_paths()
        self._check_clashes()

    def _check_numbers(self) -> None:
        for name, (low, high) in RANGES.items():
            _check_range(name, getattr(self, name), low, high)
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", self.device):
            raise ConfigError(
                f"device = {self.device}: no such choice.",
                hint="Choose from auto, cpu, cuda, cuda:1, mps.",
            )
        _check_range("memory", self.memory_bytes, 64 * 2**20, 2**60)
        _check_range("time_limit", self.time_limit_seconds, 1, 10**9)

    def _check_capabilities(self) -> None:
        capabilities = self.capabilities
        if self.adapt is not None and self.adapt not in capabilities.adapt:
            levels = " or ".join(capabilities.adapt)
            levels = f"--adapt {levels}" if levels else "training without it"
            raise ConfigError(
                f"adapt = {self.adapt}: not with method {self.method}.", hint=f"Choose {levels}."
            )
        _check_choice("variant", self.variant, list(capabilities.variants))
        if self.size not in capabilities.sizes and not (capabilities.widths and self.widths):
            numbers = ", or widths such as 24,48,96" if capabilities.widths else ""
            raise ConfigError(
                f"size = {self.size}: no such size.",
                hint=f"Choose from {', '.join(capabilities.sizes)}{numbers}.",
            )
        lengths = capabilities.lengths
        _check_range("length", self.length, lengths[0], lengths[-1])
        if self.length not in {None, *lengths}:
            raise ConfigError(
                f"length = {self.length}: must be odd (a centre, as many on its sides)."
            )

    def _check_paths(self) -> None:
        if Path(self.output).suffix != ".safetensors":
            raise ConfigError(
                f"-o {self.output}: weights are written as .safetensors.",
                hint=f"For example -o {Path(self.output).stem or 'my'}.safetensors.",
            )
        if self.init is not None and not re.search(r"[/\\.]", self.init):
            _check_choice("init", self.init, [*COLOURS, SCRATCH, *weights.available()])

    def _check_clashes(self) -> None:
        if self.inputs_are_clean and self.noise is None:
            raise ConfigError(
                "--inputs-are-clean: which noise should be added?",
                hint="For example --noise gaussian:5-55.",
            )
        if self.noise is not None and not self.inputs_are_clean:
            raise ConfigError(
                f"--noise {self.noise}: only for clean clips.",
                hint="Pass --inputs-are-clean if the clips have no noise; else leave it out.",
            )
        if self.init == SCRATCH and self.adapt is not None and not self.capabilities.scratch:
            raise ConfigError(
                f"--adapt --init {SCRATCH}: method {self.method} adapts weights that are there.",
                hint="Leave --init out.",
            )
        if self.recipe == "supervised" and not self.inputs_are_clean:
            raise ConfigError(
                "--recipe supervised: needs clean clips.",
                hint="Pass --inputs-are-clean --noise NOISE, or take --recipe self-supervised.",
            )
        if self.adapt is not None and self.inputs_are_clean:
            raise ConfigError("--adapt --inputs-are-clean: choose one; clean clips have no noise.")
        if self.adapt is not None and self.recipe != "self-supervised":
            raise ConfigError(f"--adapt --recipe {self.recipe}: choose one of them.")

    @property
    def capabilities(self) -> Capabilities:
        """Choices that the method offers."""
        return capabilities_of(self.method)

    @property
    def window(self) -> int:
        """Frames per window, centre included."""
        return self.capabilities.length if self.length is None else self.length

    @property
    def chosen_variant(self) -> str | None:
        """The variant that was asked for or is meant; None for a method without."""
        return self.variant or next(iter(self.capabilities.variants), None)

    @property
    def read(self) -> ReadOptions:
        """Range of the clips to read, and how to read them."""
        return ReadOptions(
            start=self.start_at, end=self.end_at, frames=self.frames, axes=self.axes,
            series=self.series, fields=cast(FieldMode, self.fields),
        )  # fmt: skip

    @property
    def widths(self) -> tuple[int, ...] | None:
        """Explicit channel widths, finest first; None for a size that has a name."""
        if not re.fullmatch(r"[1-9]\d*(\s*,\s*[1-9]\d*)+", self.size):
            return None
        return tuple(int(part) for part in self.size.split(","))

    @property
    def start(self) -> str | None:
        """The weights to begin from, for `weights.load`; None for scratch, or if not said.

        Raises WeightsError if there are no bundled ones for the colours asked for.
        """
        if self.init in COLOURS:
            return weights.choose(self.method, Space(self.init))
        return None if self.init == SCRATCH else self.init

    def begun_from(self, space: Space) -> str | None:
        """The weights that a run on such clips begins from: `start`, or bundled ones for an
        adaptation. Raises WeightsError if it needs bundled ones and there are none."""
        if self.adapt is None or self.init is not None:
            return self.start
        try:
            return weights.choose(self.method, space)
        except WeightsError:
            if not self.capabilities.scratch:
                raise
            return None

    @property
    def memory_bytes(self) -> int:
        """The budget for decoded frames, in bytes."""
        return size_in_bytes("memory", self.memory)

    @property
    def time_limit_seconds(self) -> float | None:
        """Time limit of this session in seconds; None without one."""
        return None if self.time_limit is None else span_in_seconds("time_limit", self.time_limit)

    @property
    def folder(self) -> Path:
        """The run folder."""
        if self.run is not None:
            return Path(self.run)
        output = Path(self.output)
        return output.with_name(f"{output.stem}.run")

    def stage(self, name: str) -> StageOverrides:
        """Changes to a stage of the recipe."""
        return self.stages.get(name, StageOverrides())

    def check_stages(self, known: Iterable[str]) -> None:
        """Raise ConfigError for overrides of a stage that the recipe does not have."""
        for name in self.stages:
            if name not in (names := list(known)):
                raise ConfigError(
                    f"stage.{name}: recipe {self.recipe} has no such stage.",
                    hint=nearest(name, names),
                )

    def changes(self, other: "TrainConfig") -> list[str]:
        """The fields in which `other` would train to another result."""
        return [
            f.name
            for f in fields(self)
            if f.name not in MAY_CHANGE and getattr(self, f.name) != getattr(other, f.name)
        ]


def _check_choice(name: str, value: str | None, known: list[str]) -> None:
    if value is not None and value not in known:
        raise ConfigError(f"{name} = {value}: no such choice.", hint=nearest(value, known))


def _check_range(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise ConfigError(f"{name} = {value:g}: must lie between {low:g} and {high:g}.")
