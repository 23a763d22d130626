"""Options of the Python API, checked at the call and not when the first frame is read."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints

from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import UsageError, nearest
from f2rcli.settings import check_range, setting, settings_of

LAYOUTS = ("THWC", "TCHW")
SPACES = ("auto", "rgb", "gray")
FILE_WHITE = 255.0  # the sigma of files is in 8-bit units


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(EngineSettings):
    """The engine's settings and what arrays mean. Raises UsageError for values that cannot be."""

    sigma: float | None = setting(
        None, "Standard deviation of the noise (default: measured).",
        low=0, unit="in the arrays' own units; 8-bit units for files",
    )  # fmt: skip
    layout: str = setting(
        "THWC", "Where the channels are; frames of iterables lack the T.", choices=LAYOUTS
    )
    space: str = setting("auto", "gray: every channel on its own.", choices=SPACES)
    black: float | None = setting(None, "The value of no light (default: 0).")
    white: float | None = setting(
        None, "The value of white (default: the dtype's largest, 1 for floats)."
    )
    axes: str | None = setting(
        None, "The axes of a stack in a file, one letter each (default: as the file says)."
    )

    def __post_init__(self) -> None:
        EngineSettings.__post_init__(self)
        if self.white is not None and self.white <= (self.black or 0):
            raise UsageError(f"white={self.white:g}: must lie above black, {self.black or 0:g}.")

    @classmethod
    def of(cls, given: dict[str, Any]) -> "Options":
        """The options of a call's keywords; raises UsageError for one that does not exist."""
        known = settings_of(cls)
        for name in given:
            if name not in known:
                raise UsageError(f"{name}: no such option.", hint=nearest(name, sorted(known)))
        texts = {n: str(given[n]) for n in ("weights", "tile") if given.get(n) is not None}
        return cls(**given | texts)

    def settings(self, span: float) -> EngineSettings:
        """The engine's settings for values that span this much from black to white.

        Raises UsageError for noise that is stronger than that.
        """
        values = {field.name: getattr(self, field.name) for field in fields(EngineSettings)}
        if self.sigma is not None:
            check_range("sigma", self.sigma, 0, span, "in the units of the pictures")
            values["sigma"] = 255 * self.sigma / span
        return EngineSettings(**values)


def with_keywords(function: Callable[..., Any]) -> None:
    """List the options in a function's signature, in place of its `**options`."""
    whole, types = signature(function), get_type_hints(Options)
    own = [p for p in whole.parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    keywords = [
        Parameter(
            name, Parameter.KEYWORD_ONLY, annotation=types[name],
            default=Options.__dataclass_fields__[name].default,
        )
        for name in settings_of(Options)
    ]  # fmt: skip
    function.__signature__ = Signature(  # type: ignore[attr-defined]  # what `inspect` looks for
        [*own, *keywords], return_annotation=whole.return_annotation
    )
