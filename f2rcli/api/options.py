"""What callers may choose, checked at the call and not when the first frame is asked for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from f2rcli import methods, weights
from f2rcli.errors import UsageError, nearest

if TYPE_CHECKING:
    from f2rcli.engine.stream import EngineSettings

Layout = Literal["THWC", "TCHW"]
LAYOUTS = ("THWC", "TCHW")
SPACES = ("auto", "rgb", "gray")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The choices of one clip. Raises UsageError for values that do not exist."""

    method: str = methods.DEFAULT
    weights: str | None = None  # name or path; None: the bundled ones that suit the pictures
    strength: float = 1.0  # 1 takes out the measured noise, 0 changes nothing
    luma_strength: float | None = None  # of brightness alone; None: as strength
    chroma_strength: float | None = None  # of colour alone; None: as strength
    sigma: float | None = None  # in the arrays' own units; None: measured
    device: str = "auto"
    precision: str = "auto"
    tile: str = "auto"
    threads: int | None = None
    layout: str = "THWC"  # where the channels are; frames of iterables lack the T
    space: str = "auto"
    black: float | None = None  # the value of no light; None: 0
    axes: str | None = None  # of a stack in a file, one letter per axis; None: as the file says
    white: float | None = None  # the value of white; None: the dtype's largest, 1 for floats

    def __post_init__(self) -> None:
        for name, value, known in (
            ("layout", self.layout, LAYOUTS),
            ("space", self.space, SPACES),
            ("method", self.method, methods.available()),
        ):
            if value not in known:
                raise UsageError(
                    f"{name} = {value!r}: no such choice.", hint=nearest(value, [*known])
                )
        if self.weights is not None and not any(c in self.weights for c in "./\\"):
            known_weights = weights.available()
            if self.weights not in known_weights:
                hint = nearest(self.weights, known_weights)
                raise UsageError(f"weights = {self.weights!r}: no such choice.", hint=hint)
        for name in ("strength", "luma_strength", "chroma_strength"):
            asked = getattr(self, name)
            if asked is not None and not 0 <= asked <= 4:
                raise UsageError(f"{name} = {asked:g}: must be from 0 to 4.")
        if self.white is not None and self.white <= (self.black or 0):
            raise UsageError(f"white = {self.white:g}: must lie above black, {self.black or 0:g}.")

    @classmethod
    def of(cls, given: dict[str, Any]) -> "Options":
        """The options of a call's keywords; raises UsageError for one that does not exist."""
        unknown = sorted(given.keys() - cls.__dataclass_fields__.keys())
        if unknown:
            hint = nearest(unknown[0], sorted(cls.__dataclass_fields__))
            raise UsageError(f"{unknown[0]}: no such option.", hint=hint)
        if given.get("weights") is not None:
            given = given | {"weights": str(given["weights"])}
        return cls(**given)

    def settings(self, span: float) -> "EngineSettings":
        """The engine's settings for values that span so much from black to white."""
        from f2rcli.engine.stream import EngineSettings  # brings torch

        return EngineSettings(
            method=self.method,
            weights=self.weights,
            strength=self.strength,
            luma_strength=self.luma_strength,
            chroma_strength=self.chroma_strength,
            sigma=None if self.sigma is None else 255 * self.sigma / span,
            device=self.device,
            precision=self.precision,
            tile=self.tile,
            threads=self.threads,
        )
