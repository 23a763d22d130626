"""Options from dataclasses: a command takes settings, and Typer sees an option for each field."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, is_dataclass
from functools import partial, wraps
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from f2rcli.cli.options.own_files import check_log_file, check_results
from f2rcli.cli.terminal.console import Console, Verbosity
from f2rcli.errors import UsageError
from f2rcli.settings import Setting, settings_of
from f2rcli.system.machine import cramped


class Fields:
    """Limits a dataclass parameter to some settings; others keep their defaults:
    `Annotated[ReadOptions, Fields("axes")]`."""

    def __init__(self, *only: str, without: tuple[str, ...] = ()) -> None:
        self.only = only
        self.without = without

    def has(self, name: str) -> bool:
        """Whether a field becomes an option."""
        return name not in self.without and (not self.only or name in self.only)


class AsValues:
    """Marks a parameter that takes the settings of a dataclass as a dictionary, unchecked and
    without those that are None: `Annotated[dict[str, Any], AsValues(TrainConfig)]`."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind


@dataclass(frozen=True, slots=True)
class OptionGroup:
    """A parameter of a command, or a field of its dataclass, that stands for several options."""

    kind: Any  # the dataclass
    fields: "dict[str, Setting | OptionGroup]"  # those that become options, in its order
    made: bool = True  # False: a dictionary of values is what the command wants

    def taken(self, given: dict[str, Any]) -> Any:
        """The settings, whose options are taken out of what was given. Raises UsageError."""
        values = {}
        for name, one in self.fields.items():
            if isinstance(one, OptionGroup):
                values[name] = one.taken(given)
            elif (typed := given.pop(name)) is not None:  # else: the default
                values[name] = typed if one.parse is None else one.parse(name, typed)
        return self.kind(**values) if self.made else values

    def options(self) -> Iterator[inspect.Parameter]:
        """An option for every field, as Typer takes them."""
        types, defaults = get_type_hints(self.kind), self.kind.__dataclass_fields__
        for name, one in self.fields.items():
            if isinstance(one, OptionGroup):
                yield from one.options()
                continue
            default = defaults[name].default
            default = None if default in ((), MISSING) else default
            kind = types[name] if one.typed is None else one.typed
            kind = kind | None if default is None and one.typed is not None else kind
            yield inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY,
                default=default, annotation=Annotated[kind, option(name, one, default)],
            )  # fmt: skip


def option(name: str, known: Setting, default: Any) -> Any:
    """The Typer option of one setting."""
    word = name.replace("_", "-")
    flags = known.flags or (f"--{word}/--no-{word}" if default is False else f"--{word}",)
    metavar = "|".join(known.names()) or None if known.metavar is None else known.metavar
    return typer.Option(
        *flags, help=known.help, metavar=metavar, rich_help_panel=known.group,
        show_default=default is not False,
        autocompletion=completing(known.names, known.mark) if known.choices else None,
    )  # fmt: skip


def completing(known: Callable[[], list[str]], mark: str = ",") -> Callable[[str], list[str]]:
    """Offers the known values at TAB; of a list with such marks, those of its last word."""

    def complete(incomplete: str) -> list[str]:
        before, between, last = incomplete.rpartition(mark)
        return [f"{before}{between}{name}" for name in known() if name.startswith(last)]

    return complete


def with_options(command: Callable[..., int]) -> Callable[..., int]:
    """The command as Typer takes it: settings are options, and the console listens to its own.

    Parameters annotated with a dataclass of settings get it made and checked; one annotated with
    `Console` gets the run's console, set up by the options of `Verbosity`.
    """
    signature = inspect.signature(command, eval_str=True)
    groups = {name: _group(p.annotation) for name, p in signature.parameters.items()}
    own = {name: group for name, group in groups.items() if group is not None}
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [context]
    for name, parameter in signature.parameters.items():
        if name != "ctx":
            parameters += [parameter] if name not in own else own[name].options()
    computes = any(parameter.name == "threads" for parameter in parameters)

    @wraps(command)
    def run(ctx: typer.Context, **given: Any) -> int:
        console: Console = ctx.obj
        console.context = ctx
        _check_words(ctx)
        if computes and cramped():
            raise MemoryError
        for name, group in sorted(own.items(), key=lambda item: item[1].kind is not Verbosity):
            given[name] = group.taken(given)
            if group.kind is Verbosity:
                log, others = given[name].log_file, given
                console.configure(given[name], partial(check_log_file, log, others))
                check_results(others)
                given[name] = console
        if "ctx" in signature.parameters:
            given["ctx"] = ctx
        return command(**given)

    del run.__wrapped__  # Typer would look at the command itself
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # its hook
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _check_words(ctx: typer.Context) -> None:
    """Raise UsageError for an empty word: as the name of a file it would mean this folder."""
    for param in ctx.command.params:
        value = ctx.params.get(param.name or "")
        if "" in (value if isinstance(value, list | tuple) else [value]):
            typed = max(param.opts, key=len)
            name = typed if typed.startswith("-") else param.metavar or typed.upper()
            raise UsageError(f"{name}: is empty.", hint="Is a shell variable unset?")


def _group(annotation: Any) -> OptionGroup | None:
    kind, *marks = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    part = next((mark for mark in marks if isinstance(mark, Fields)), Fields())
    values = next((mark.kind for mark in marks if isinstance(mark, AsValues)), None)
    kind = values or kind
    if kind is Console:
        kind = Verbosity
    if not is_dataclass(kind):
        return None
    known = settings_of(kind)
    inner = {n: known.get(n) or _group(type_) for n, type_ in get_type_hints(kind).items()}
    taken = {n: one for n, one in inner.items() if one is not None and part.has(n)}
    return OptionGroup(kind, taken, made=values is None)
