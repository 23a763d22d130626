"""Options that commands share, how a command's --help is laid out, and files of results.

An option says one thing everywhere. Those of every day are in --help, all of them in --help-all.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import partial, wraps
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import typer
from typer.core import TyperCommand

from f2rcli import methods
from f2rcli.cli.console import Console
from f2rcli.errors import UsageError
from f2rcli.io.files import check_target, same_file, write_file
from f2rcli.io.formats import READABLE

RESULT, SPAN, FILES, MACHINE, RUN = "Result", "Part of the clip", "Files", "Machine", "This run"


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
                formatter.write_dl(rows, col_max=28)  # columns of the names


def _print_all(ctx: typer.Context, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.meta["--help-all"] = True
        typer.echo(ctx.get_help())
        raise typer.Exit


def argument(metavar: str, help: str) -> Any:
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
Run = Callable[..., int]  # a command, which returns its exit code
Text = str | None
Texts = list[str] | None
Number = float | None
Whole = int | None

CLIP = "Video, folder, pictures (frames/%05d.png), or - for stdin."
Clip = Annotated[str, argument("INPUT", CLIP)]
COMMON: dict[str, tuple[Any, Any, Any]] = {  # what several commands have: type, default, option
    "model": (Text, None, result("lite|full", "Quicker (default on a processor), or better.")),
    "method": (str, "f2r", result("NAME", "Denoising method; see below.", more=True)),
    "weights": (Text, None, result("NAME|PATH", "Trained weights (default: bundled).", more=True)),
    "fields": (str, "auto", part("auto|on|off", "Fields of interlaced video.", more=True)),
    "frames": (Whole, None, part("N", "At most N frames of each clip.")),
    "axes": (
        Text, None, part("TZCYX", "A stack's axes, slowest first: T time, Z depth, C channel."),
    ),
    "series": (Text, None, part("N|NAME|all", "Series of a file that has several.", more=True)),
    "overwrite": (bool, False, files("", "Replace files that are there.", "--overwrite -y")),
    "device": (str, "auto", machine("NAME", "auto, cpu, cuda, cuda:1 or mps.")),
    "threads": (Whole, None, machine("N", "Processor threads.")),
    "precision": (str, "auto", machine("KIND", "auto, fp32, bf16 or fp16.", more=True)),
    "tile": (str, "auto", machine("auto|off|N", "Process frames in tiles of N pixels.", more=True)),
    "json": (bool, False, this_run("", "Events as JSON lines on stdout.", "--json", more=True)),
    "quiet": (bool, False, this_run("", "Warnings and errors only.", "--quiet -q")),
    "help_all": (
        bool, False,
        this_run("", "Show every option.", "--help-all", is_eager=True, callback=_print_all),
    ),
}  # fmt: skip


def common(names: str) -> Callable[[Run], Run]:
    """Gives a command these of the common options, and those that every command has; it finds
    their values in `ctx.params`."""

    def extended(command: Run) -> Run:
        own = inspect.signature(command).parameters

        @wraps(command)
        def run(**given: Any) -> int:
            return command(**{name: given[name] for name in own})

        more = [
            Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, by])
            for name, (kind, default, by) in COMMON.items()
            if name in (*names.split(), "json", "help_all")
        ]
        vars(run)["__signature__"] = inspect.Signature([*own.values(), *more])
        return run

    return extended


def begin(ctx: typer.Context) -> Console:
    """The console of a run, which knows its options. Raises UsageError for an empty word."""
    console: Console = ctx.obj
    console.json, console.quiet = (bool(ctx.params.get(name)) for name in ("json", "quiet"))
    if "output" not in ctx.params:
        console.if_stopped = "nothing was written."
    for param in ctx.command.params:
        flag = "-o" if "-o" in param.opts else max(param.opts, key=len)
        flag = str(param.metavar) if param.param_type_name == "argument" else flag
        console.flags[str(param.name)] = flag
        value = ctx.params.get(str(param.name))
        if "" in (value if isinstance(value, list | tuple) else [value]):
            raise UsageError(f"{flag}: is empty.", hint="Is a shell variable unset?")
    return console


def settings(ctx: typer.Context, kind: Callable[..., T], **own: Any) -> T:
    """The settings of a kind, as the run's options of the same names say; own: the others."""
    names = (f.name for f in fields(cast(Any, kind)))
    return kind(**{name: ctx.params[name] for name in names if name in ctx.params} | own)


def given(ctx: typer.Context, *but: str) -> dict[str, Any]:
    """The options that were set on the command line, but for some."""
    return {
        name: Path(value).name if name == "weights" else value  # in files no private path
        for name, value in ctx.params.items()
        if name not in but and str(ctx.get_parameter_source(name)).endswith("COMMANDLINE")
    }


# --- Result files: checked before there is work to lose, written at the end ----------------------


def check_results(ctx: typer.Context, others: Iterable[str | None], *names: str) -> None:
    """Raise for options of result files (`names`) that cannot be written, or are a clip or another
    file of the run (`others`; of LABEL=PATH the path)."""
    for name in (name for name in names if ctx.params[name] is not None):
        path, flag = Path(ctx.params[name]), ctx.obj.flags[name]
        if str(path) == "-":
            raise UsageError(f"{flag} -: is a file.", hint="--json writes to standard output.")
        rest = [*others, *(ctx.params[other] for other in names if other != name)]
        own = any(same_file(path, Path(word.partition("=")[2] or word)) for word in rest if word)
        if own or path.suffix.lower() in READABLE:
            what = "names another file of this run" if own else "is named like a clip"
            hint = "Name another file; clips and weights are never written."
            raise UsageError(f"{flag} {path}: {what}.", hint=hint)
        ctx.obj.flags["output"] = flag  # which errors name
        check_target(path, [], overwrite=ctx.params["overwrite"])


def write_result(ctx: typer.Context, name: str, what: str, data: bytes) -> None:
    """Write the result file of an option, whole or not at all, and say so. Raises OutputError."""
    ctx.obj.flags["output"] = ctx.obj.flags[name]
    write_file(Path(ctx.params[name]), data, overwrite=ctx.params["overwrite"])
    ctx.obj.note(f"{what}: {ctx.params[name]}")
