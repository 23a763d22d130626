"""Options that commands share, how a command's --help is laid out, and files of results.

An option says one thing everywhere. Those of every day are in --help, all of them in --help-all.
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import typer
from typer.core import TyperCommand

from f2rcli import methods
from f2rcli.cli.console import Console
from f2rcli.errors import OutputError, UsageError
from f2rcli.io.files import check_target, same_file, write_file
from f2rcli.io.formats import READABLE

RESULT, SPAN, FILES, MACHINE, RUN = "Result", "Part of the clip", "Files", "Machine", "This run"
LEFT = 28  # columns of the names in --help


class Command(TyperCommand):
    """A sub-command, whose help is its docstring as it stands, then its options in groups."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Usage, what it does with examples, and the options: the hidden ones with --help-all."""
        whole = "--help-all" in ctx.meta
        formatter.write_usage(ctx.command_path, " ".join(self.collect_usage_pieces(ctx)))
        formatter.write(f"\n{inspect.cleandoc(self.help or '')}\n")
        groups: dict[str, list[tuple[str, str]]] = {}
        params: list[Any] = self.params
        for param in params:
            if param.param_type_name == "argument":
                formatter.write(f"\n{param.metavar}: {param.help}\n")
            elif whole or not param.hidden:
                left = ", ".join([*sorted(param.opts, key=len), *param.secondary_opts])
                left += "" if param.is_flag else f" {param.metavar}"
                groups.setdefault(param.rich_help_panel or RUN, []).append((left, param.help or ""))
        if whole and any(param.name == "method" for param in params):
            groups["Methods"] = list(methods.described().items())
        for group, rows in groups.items():
            with formatter.section(group):
                formatter.write_dl(rows, col_max=LEFT)


def _print_all(ctx: typer.Context, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.meta["--help-all"] = True
        typer.echo(ctx.get_help())
        raise typer.Exit


def argument(metavar: str, help: str) -> Any:
    """A Typer argument."""
    return typer.Argument(metavar=metavar, help=help, show_default=False)


def option(
    group: str, metavar: str, help: str, flags: str = "", *, more: bool = False, **typers: Any
) -> Any:
    """A Typer option. flags: where its name alone does not say them; more: only --help-all shows
    it; typers: further arguments of Typer's."""
    return typer.Option(
        *flags.split(), rich_help_panel=group, metavar=metavar or None, help=help, hidden=more,
        show_default=False, **typers,
    )  # fmt: skip


result, part, files, machine, this_run = (
    partial(option, group) for group in (RESULT, SPAN, FILES, MACHINE, RUN)
)
T = TypeVar("T")
Text = str | None
Number = float | None
Whole = int | None

# What several commands have.
CLIP = "Video, folder, pictures (frames/%05d.png), or - for stdin."
Clip = Annotated[str, argument("INPUT", CLIP)]
Method = Annotated[str, result("NAME", "Denoising method; see below.", more=True)]
Weights = Annotated[Text, result("NAME|PATH", "Trained weights (default: bundled).", more=True)]
Model = Annotated[Text, result("lite|full", "Quicker networks, or better ones.")]
Axes = Annotated[Text, part("TZCYX", "A stack's axes, slowest first: T time, Z depth, C channel.")]
Series = Annotated[Text, part("N|NAME|all", "Series of a file that has several.", more=True)]
Frames = Annotated[Whole, part("N", "At most N frames of each clip.")]
Fields = Annotated[str, part("auto|on|off", "Fields of interlaced video.", more=True)]
Overwrite = Annotated[bool, files("", "Replace files that are there.", "--overwrite -y")]
Device = Annotated[str, machine("NAME", "auto, cpu, cuda, cuda:1 or mps.")]
Threads = Annotated[Whole, machine("N", "Processor threads.")]
Precision = Annotated[str, machine("KIND", "auto, fp32, bf16 or fp16.", more=True)]
Tile = Annotated[str, machine("auto|off|N", "Process frames in tiles of N pixels.", more=True)]
Json = Annotated[bool, this_run("", "Events as JSON lines on stdout.", "--json", more=True)]
Quiet = Annotated[bool, this_run("", "Warnings and errors only.", "--quiet -q")]
HelpAll = Annotated[
    bool, this_run("", "Show every option.", "--help-all", is_eager=True, callback=_print_all)
]


def begin(ctx: typer.Context, *, json: bool = False, quiet: bool = False) -> Console:
    """The console of a command's run, which knows its options. Raises UsageError for an empty
    word."""
    console: Console = ctx.obj
    console.json, console.quiet = json, quiet
    flags = {
        str(param.name): "-o" if "-o" in param.opts else max(param.opts, key=len)
        for param in ctx.command.params
        if param.opts[0].startswith("-")
    } | {str(p.name): str(p.metavar) for p in ctx.command.params if p.param_type_name == "argument"}
    console.flags = flags
    for name, value in ctx.params.items():
        if "" in (value if isinstance(value, list | tuple) else [value]):
            raise UsageError(f"{flags[name]}: is empty.", hint="Is a shell variable unset?")
    return console


def settings(ctx: typer.Context, kind: Callable[..., T], **own: Any) -> T:
    """The settings of a kind, as the run's options of the same names say; own: those that they do
    not."""
    names = (f.name for f in fields(cast(Any, kind)))
    return kind(**{name: ctx.params[name] for name in names if name in ctx.params} | own)


def given(ctx: typer.Context, *but: str) -> dict[str, Any]:
    """The options that were set on the command line, but for some."""
    return {
        name: value
        for name, value in ctx.params.items()
        if name not in but and str(ctx.get_parameter_source(name)).endswith("COMMANDLINE")
    }


# --- Result files: checked before there is work to lose, written at the end ----------------------


def check_result(
    flag: str, target: str | None, others: Iterable[str | None], *, overwrite: bool
) -> None:
    """Raise for a result file that cannot be written, or that is a clip or another file of the run
    (`others`; of LABEL=PATH the path)."""
    if target is None:
        return
    path = Path(target)
    named = [Path(word.partition("=")[2] or word) for word in others if word]
    own = any(same_file(path, one) for one in named)
    if own or path.suffix.lower() in READABLE:
        what = "names another file of this run" if own else "is named like a clip"
        raise UsageError(
            f"{flag} {path}: {what}.",
            hint="Name another file; clips and weights are never written.",
        )
    with _about(flag):
        check_target(path, [], overwrite=overwrite)


def write_result(flag: str, target: str, data: bytes, *, overwrite: bool) -> None:
    """Write a result file, whole or not at all. Raises OutputError."""
    with _about(flag):
        write_file(Path(target), data, overwrite=overwrite)


@contextmanager
def _about(flag: str) -> Iterator[None]:
    """Errors within name the option of a result file, and not -o, for what to change."""
    try:
        yield
    except OutputError as error:
        hint = (error.hint or "").replace("output=", flag)
        raise OutputError(f"{flag}: {error}", hint=hint) from error


def command_typed() -> str:
    """The command line, with file names instead of private paths."""
    return " ".join(["f2r", *(Path(word).name if "/" in word else word for word in sys.argv[1:])])
