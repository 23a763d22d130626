"""What the documents name exists: pages, headings, and the options of f2r's command lines."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer

from f2rcli.cli.app import command_line

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    path for folder in ("", "docs", "weights", "examples") for path in (ROOT / folder).glob("*.md")
)

pytestmark = pytest.mark.skipif(not (ROOT / "DESIGN.md").exists(), reason="an installed copy")


def says(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def commands(text: str) -> Iterator[list[str]]:
    """The words of every command line in blocks of code, joined where they go on."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|[|](?= )|;", re.sub(r"\s#.*", "", line.removeprefix("$ "))):
            try:
                words = shlex.split(part)
            except ValueError:
                continue
            if words:
                yield words


@cache
def options() -> dict[str, set[str]]:
    """Every command's options, by command."""
    group = typer.main.get_command(command_line())
    found: dict[str, set[str]] = {}
    for name, command in group.commands.items():  # type: ignore[attr-defined]  # a group
        spelled = (o for p in command.params for o in (*p.opts, *p.secondary_opts))
        found[name] = {option for option in spelled if option.startswith("-")} | {"--help", "-h"}
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)]+)\)", says(path)):
        target, _, anchor = link.partition("#")
        if target.startswith("http"):
            continue
        page = path.parent / target if target else path
        headings = re.findall(r"^#+ (.*)$", says(page), re.MULTILINE) if anchor else []
        anchors = {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}
        if not page.exists() or (anchor and anchor not in anchors):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_commands_and_options_that_a_page_shows_exist(path: Path) -> None:
    lines = [words for words in commands(says(path)) if words[0] == "f2r"]
    unknown = [
        f"{' '.join(words[:2])} {word}"
        for words in lines
        for word in words[1:]
        if (match := re.match(r"--?[a-z][a-z0-9-]*", word))
        and match[0] not in options().get(words[1], {"--version", "--help"})
    ]
    unknown += [words[1] for words in lines if words[1][0] != "-" and words[1] not in options()]
    every = {"--help", "--version", *(one for known in options().values() for one in known)}
    mentioned = re.findall(r"`(--[a-z][a-z-]+)", says(path))
    assert not unknown
    # the changelog names what went, too
    assert path.name == "CHANGELOG.md" or not {one for one in mentioned if one not in every}
