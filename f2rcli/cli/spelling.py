"""Messages name settings as Python does, `sigma=-1`; here they become flags, `--sigma -1`."""

import re
from typing import Any

import typer

MENTION = re.compile(r"(?<![\w./\\-])([a-z]\w*)=(?:'([^']*)'|(True|False)\b|(?=(\S)))?")


def flags_of(context: typer.Context) -> dict[str, tuple[str, str]]:
    """The flags that set and unset every option, and what --help calls the running command's
    arguments, by parameter: the running command's first."""
    root: Any = context.find_root().command
    commands = [*getattr(root, "commands", {}).values(), context.command]
    flags = {
        str(param.name): (_flag(param.opts), _flag(param.secondary_opts or param.opts))
        for command in commands
        for param in command.params
        if param.opts[0].startswith("-")
    }
    own = [p for p in context.command.params if not p.opts[0].startswith("-") and p.metavar]
    return flags | {str(param.name): (str(param.metavar),) * 2 for param in own}


def _flag(spellings: list[str]) -> str:
    """The long flag, except for -o, which is familiar."""
    return "-o" if "-o" in spellings else max(spellings, key=len)


def as_flags(text: str, flags: dict[str, tuple[str, str]]) -> str:
    """`strict=False and sigma=-1` as `--no-strict and --sigma -1`; other words stay."""

    def spelled(found: re.Match[str]) -> str:
        name, quoted, switch, follows = found.groups()
        if name not in flags:
            return found[0]
        flag = flags[name][switch == "False"]
        if quoted is not None:
            return f"{flag} {quoted}".rstrip()
        return f"{flag} " if follows and follows not in ".,;:)" else flag

    return MENTION.sub(spelled, text)
