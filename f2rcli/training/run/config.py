"""Validated configuration of a training run: the options of `f2r train`."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

from f2rcli import methods, weights
from f2rcli.engine.settings import MACHINE, EngineSettings
from f2rcli.errors import ConfigError, WeightsError, nearest
from f2rcli.frames import Space
from f2rcli.io.base import RUN, FieldMode, ReadOptions
from f2rcli.noise import synthesis
from f2rcli.settings import KEY, Setting, check, check_choice, check_range, like, setting
from f2rcli.training.methods import (
    Capabilities,
    by_method,
    capabilities_of,
    every_choice,
    in_words,
    recipes_in_words,
    trainable,
)
from f2rcli.training.run.overrides import StageOverrides, asked_overrides
from f2rcli.training.run.quantities import size_in_bytes, span_in_seconds

ADAPT = {"fast": "a minute of training on the clip itself", "full": "several minutes of it"}
COLOURS = ("rgb", "gray", "bayer")
SPACES = ("auto", *COLOURS)
SCRATCH = "scratch"
LEAST_MEMORY = 64 * 2**20  # bytes
FOOTAGE, LEARNING = "Footage", "Learning"  # headings in --help


def beginnings() -> list[str]:
    """Names of weights to start from."""
    return [*COLOURS, SCRATCH, *weights.available()]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One `f2r train`. Every field but the paths has a default; text is kept as it was written.

    Raises UsageError for what is unknown, out of range, or contradicts itself.
    """

    inputs: tuple[str, ...]  # files, folders or patterns, as for `f2r denoise`
    output: str  # .safetensors
    recipe: str = setting(
        "self-supervised", recipes_in_words(), metavar="NAME", group=LEARNING,
        choices=partial(every_choice, "recipes"), others="by method",
    )  # fmt: skip
    method: str = setting(
        methods.DEFAULT, "Method to train.", metavar="NAME", group=LEARNING, choices=trainable
    )
    init: str | None = setting(
        None, "Weights to start from; rgb, gray and bayer are bundled. Default: scratch, or the "
        "bundled ones with --adapt.", metavar="NAME|PATH", group=LEARNING, choices=beginnings,
        pattern=r"(?s).*[./\\].*", others="the path of a .safetensors file",
    )  # fmt: skip
    adapt: str | None = setting(
        None, "Fit the bundled weights (or --init) to the clips; fast if no level is given. "
        f"{in_words(ADAPT)}.", metavar="[fast|full]", group=LEARNING, choices=tuple(ADAPT),
    )  # fmt: skip
    size: str = setting(
        "small", f"Size of the networks, or their channel widths. {by_method('sizes')}.",
        metavar="NAME|N,N,N", group=LEARNING, others="widths",
        choices=partial(every_choice, "sizes"),
    )  # fmt: skip
    variant: str | None = setting(
        None, f"Variant of networks and losses. {by_method('variants') or 'No method has any'}.",
        metavar="NAME", group=LEARNING, choices=partial(every_choice, "variants"),
        others="by method",
    )  # fmt: skip
    length: int | None = setting(
        None, "Frames per window, an odd number (default: that of --init, or the method's own).",
        metavar="T", group=LEARNING,
    )  # fmt: skip
    stages: Mapping[str, StageOverrides] = field(
        default_factory=dict, metadata={KEY: Setting(
            help="Set steps, minutes, lr, batch, crop or clips of one stage; repeatable.",
            flags=("--stage",), metavar="NAME.KEY=VALUE", group=LEARNING,
            typed=list[str], parse=asked_overrides,
        )},
    )  # fmt: skip
    minutes: float | None = setting(
        None, "Minutes of training, shared among the stages, in place of their steps.",
        metavar="N", group=LEARNING, low=0.01, high=10**6,
    )  # fmt: skip
    seed: int = setting(
        0, "Random seed; the same seed repeats the run.",
        metavar="N", group=LEARNING, low=0, high=2**63 - 1,
    )  # fmt: skip
    inputs_are_clean: bool = setting(
        False, "Train from clean clips; --noise adds noise to them.",
        flags=("--inputs-are-clean",), group=FOOTAGE,
    )  # fmt: skip
    noise: str | None = setting(
        None, "Noise to add to clean clips, as for f2r eval: gaussian:5-55, "
        "poisson-gaussian:0.001-0.04,0-15, correlated:3-50,0.4-1.3, salt-pepper, compressed, "
        "mixture, compressed-mixture; realistic, sensor (for mosaics) or footage (every kind).",
        metavar="KIND[:NUMBERS][+KIND...]", group=FOOTAGE,
        choices=synthesis.training_kinds, others="ranges and numbers of each", mark="+",
    )  # fmt: skip
    space: str = setting(
        "auto", "Colours to train for; auto: those of the clips.", group=FOOTAGE, choices=SPACES
    )
    held_out: int = setting(
        4, "Frames per clip reserved for validation and test, 2 or more.",
        metavar="N", group=FOOTAGE, low=2, high=1000,
    )  # fmt: skip
    axes: str | None = like(ReadOptions, "axes")
    series: str | None = like(ReadOptions, "series")
    fields: str = like(ReadOptions, "fields")
    start_at: float | None = None  # seconds
    end_at: float | None = None  # seconds
    frames: int | None = None  # of every clip
    device: str = like(EngineSettings, "device")
    threads: int | None = like(EngineSettings, "threads")
    precision: str = like(EngineSettings, "precision")
    jobs: int | None = setting(
        None, "Processes that prepare data (default: by the number of cores).",
        metavar="N", group=MACHINE, low=0, high=4096,
    )  # fmt: skip
    memory: str = setting("2GiB", "Memory limit for decoded frames.", metavar="SIZE", group=MACHINE)
    time_limit: str | None = setting(
        None, "Stop after this time, such as 25m or 1h30m, with the best weights so far; "
        "--resume continues.", metavar="TIME", group=RUN,
    )  # fmt: skip
    resume: bool = setting(
        False, "Continue the run of this OUTPUT or --run.", flags=("--resume",), group=RUN
    )
    overwrite: bool = setting(False, "Replace existing files.", group=RUN)
    run: str | None = setting(
        None, "Folder for checkpoints, curves and the report; default: NAME.run beside the output.",
        metavar="FOLDER", group=RUN,
    )  # fmt: skip
    log_every: int = setting(
        50, "Steps between rows of the CSV.", metavar="STEPS", group=RUN, low=1, high=10**9
    )
    validate_every: int = setting(
        200, "Steps between validations on the held-out frames.",
        metavar="STEPS", group=RUN, low=1, high=10**9,
    )  # fmt: skip

    def __post_init__(self) -> None:
        if not self.inputs:
            raise ConfigError("no clips to train on.", hint="Name one: f2r train CLIP -o NAME.")
        check(self)
        self._check_capabilities()
        _ = self.read  # checks itself
        if self.memory_bytes < LEAST_MEMORY:
            raise ConfigError(f"memory={self.memory!r}: must be 64MiB or more.")
        if self.time_limit_seconds == 0:
            raise ConfigError(f"time_limit={self.time_limit!r}: must be longer than 0 s.")
        self._check_output()
        self._check_clashes()

    def _check_capabilities(self) -> None:
        capabilities = self.capabilities
        check_choice("recipe", self.recipe, list(capabilities.recipes))
        if self.adapt is not None and self.adapt not in capabilities.adapt:
            levels = " or ".join(map(repr, capabilities.adapt))
            levels = f"adapt={levels}" if levels else "training without it"
            raise ConfigError(
                f"adapt={self.adapt!r}: not with method {self.method}.", hint=f"Choose {levels}."
            )
        if self.variant is not None:
            check_choice("variant", self.variant, list(capabilities.variants))
        if self.size not in capabilities.sizes and not (capabilities.widths and self.widths):
            others = "widths such as 24,48,96" if capabilities.widths else ""
            check_choice("size", self.size, capabilities.sizes, others=others)
        if self.length is not None:
            lengths = capabilities.lengths
            check_range("length", self.length, lengths[0], lengths[-1])
            if self.length not in lengths:
                raise ConfigError(f"length={self.length}: must be odd (a centre, equal sides).")

    def _check_output(self) -> None:
        if Path(self.output).suffix != ".safetensors":
            raise ConfigError(
                f"output={self.output!r}: weights are written as .safetensors.",
                hint=f"For example output='{Path(self.output).stem or 'my'}.safetensors'.",
            )

    def _check_clashes(self) -> None:
        if self.inputs_are_clean and self.noise is None:
            raise ConfigError(
                "inputs_are_clean=True: which noise should be added?",
                hint="For example noise='gaussian:5-55'.",
            )
        if self.noise is not None and not self.inputs_are_clean:
            raise ConfigError(
                f"noise={self.noise!r}: only for clean clips.",
                hint="Pass inputs_are_clean=True if the clips have no noise; else leave it out.",
            )
        if self.init == SCRATCH and self.adapt is not None and not self.capabilities.scratch:
            raise ConfigError(
                f"init={SCRATCH!r}: method {self.method} can adapt existing weights only.",
                hint="Leave it out.",
            )
        if self.recipe == "supervised" and not self.inputs_are_clean:
            raise ConfigError(
                "recipe='supervised': needs clean clips.",
                hint="Pass inputs_are_clean=True and noise=, or recipe='self-supervised'.",
            )
        if self.adapt is not None and self.inputs_are_clean:
            raise ConfigError(
                "adapt= and inputs_are_clean=True: choose one; clean clips have no noise."
            )
        if self.adapt is not None and self.recipe != "self-supervised":
            raise ConfigError(f"adapt= and recipe={self.recipe!r}: choose one.")

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
        """The weights to begin from, for `weights.load`; None: scratch, or unsaid. Raises
        WeightsError."""
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
