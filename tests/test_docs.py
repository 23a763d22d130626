"""What the documents name exists: files, links, modules, names in the code, options."""

import importlib
import inspect
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

import f2rcli
from f2rcli import errors
from f2rcli.cli.app import command_line
from f2rcli.evaluation import benchmarks, metrics
from f2rcli.noise.synthesis.spec import KINDS
from f2rcli.training.methods import capabilities_of, trainable
from tests.test_architecture import ROOMS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "f2rcli"
FOLDERS = ("", "docs", "benchmarks", "weights", "examples", ".github")
HISTORY = {"CHANGELOG.md"}  # names what once was
DOCUMENTS = sorted(
    path for folder in FOLDERS for path in (ROOT / folder).glob("*.md") if path.name not in HISTORY
)
OUR_FOLDERS = {"f2rcli", "docs", "tests", "benchmarks", "examples", "weights", ".ci", ".github"}

# What documents name and the repository does not have, and why.
NOT_OURS = {
    "report.md": "what a training run writes",
}
OTHER_PROGRAMS = {
    "--nthreads": "dask worker",
    "--lifetime": "dask worker",
    "--resources": "dask worker",
    "--help": "every command has it, but not as a parameter",
    "--version": "of the program, not of a command",
}


def fenced(text: str) -> list[str]:
    """The blocks of code of a document."""
    return re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def inline(text: str) -> list[str]:
    """What stands in backticks outside blocks; in tables an escaped bar is a bar."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return [code.replace("\\|", "|") for code in re.findall(r"`([^`]+)`", prose)]


def commands(text: str) -> Iterator[list[str]]:
    """The words of every command line, in blocks (joined where they go on) and in backticks."""
    blocks = "\n".join(fenced(text)).replace("\\\n", " ").splitlines()
    for line in [*blocks, *inline(text)]:
        for part in re.split(r"&&|[|](?= )|;", re.sub(r"\s#.*", "", line.removeprefix("$ "))):
            try:
                words = shlex.split(part)
            except ValueError:
                continue
            if words:
                yield words


def exists(name: str, document: Path) -> bool:
    """Whether a path is one of the repository's, of the package's, or beside the document. NAME
    stands for any: its folder must exist."""
    name = name.partition("NAME")[0]
    places = (ROOT, PACKAGE, PACKAGE / "evaluation", PACKAGE / "training", document.parent)
    return any((place / name).exists() for place in places)


def says(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def sources() -> str:
    """The package's own text, and its data's."""
    kinds = ("*.py", "*.css", "*.js", "*.toml", "*.html")
    return "\n".join(says(path) for kind in kinds for path in sorted(PACKAGE.rglob(kind)))


@cache
def options() -> dict[str, set[str]]:
    """Every command's options, by command."""
    group = typer.main.get_command(command_line())
    found: dict[str, set[str]] = {}
    for name, command in group.commands.items():  # type: ignore[attr-defined]  # a group
        spelled = (o for p in command.params for o in (*p.opts, *p.secondary_opts))
        found[name] = {option for option in spelled if option.startswith("-")} | {"--help", "-h"}
    return found


def named_options(words: list[str]) -> list[str]:
    """The options of a command line: `--tile` of `--tile=auto|off`."""
    parts = (part for word in words for part in re.split(r"[\[\]/]", word))
    return [m[0] for part in parts if (m := re.match(r"--[a-z][a-z0-9-]*", part))]


pytestmark = pytest.mark.skipif(not (ROOT / "DESIGN.md").exists(), reason="an installed copy")
documents = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)


@documents
def test_files_that_a_document_names_exist(path: Path) -> None:
    missing = []
    for code in inline(says(path)):
        name = code.split("#")[0].rstrip("/")
        ours = name.split("/")[0] in OUR_FOLDERS or name.endswith((".py", ".md"))
        plain = re.fullmatch(r"[\w./-]+", name)
        if ours and plain and name not in NOT_OURS and not exists(name, path):
            missing.append(code)
    assert not missing


@documents
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


@documents
def test_modules_that_a_document_names_can_be_imported(path: Path) -> None:
    text = says(path)
    named = [code for code in inline(text) if re.fullmatch(r"f2rcli(\.\w+)+", code)]
    for block in fenced(text):
        for module, names in re.findall(r"^from (f2rcli[\w.]*) import (.+)$", block, re.MULTILINE):
            named += [f"{module}.{name.strip()}" for name in names.split(",")]
    named += [m for m in re.findall(r"python -m (f2rcli[\w.]*)", text) if m != "f2rcli"]
    for name in named:
        module, _, last = name.rpartition(".")
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(module), last), name


@documents
def test_options_of_commands_exist(path: Path) -> None:
    unknown = []
    known = set[str]().union(*options().values())
    for words in commands(says(path)):
        asked = named_options(words)
        match words:
            case ["f2r", command, *_] if command in options():
                unknown += [f"{command} {o}" for o in asked if o not in options()[command]]
            case ["python", script, *_] if script.startswith("benchmarks/") and asked:
                folder = ROOT / script
                source = says(folder / "__main__.py" if folder.is_dir() else folder)
                unknown += [f"{script} {o}" for o in asked if f'"{o}"' not in source]
            case [first, *_] if first.startswith("--"):
                allowed = known | OTHER_PROGRAMS.keys()
                unknown += [o for o in asked if o not in allowed and not in_benchmarks(o)]
    assert not unknown


@cache
def in_benchmarks(option: str) -> bool:
    """Whether a script of the repository takes the option."""
    scripts = [*(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "examples").glob("*.py")]
    return any(f'"{option}"' in says(script) for script in scripts)


def test_names_in_the_design_exist_in_the_code() -> None:
    text, code = says(ROOT / "DESIGN.md"), sources()
    unknown = []
    for name in inline(text):
        word = re.fullmatch(r"([A-Za-z]\w*)((?:\.\w+)*)(\(\))?( = \w+)?", name)
        if word is None or "/" in name or exists(name, ROOT) or exists(f"{name}.py", ROOT):
            continue
        parts = [word[1], *word[2].split(".")[1:]]
        unknown += [name for part in parts if not re.search(rf"\b{part}\b", code)]
    assert not unknown


def test_decisions_that_are_named_are_in_the_design() -> None:
    text = says(ROOT / "DESIGN.md")
    decided = set(re.findall(r"^\*\*(D\d+[a-z]?) ", text, re.MULTILINE))
    named = re.findall(r"DESIGN\.md(?:\]\([^)]*\))?,? (D\d+[a-z]?)", "".join(map(says, DOCUMENTS)))
    named += re.findall(r"DESIGN\.md (D\d+[a-z]?)", sources())
    named += re.findall(r"\((D\d+[a-z]?)[),]", text)
    assert len(named) > 20
    assert set(named) <= decided


def test_the_rooms_of_the_design_are_those_of_the_architecture() -> None:
    section = says(ROOT / "DESIGN.md").split("## Rooms and direction")[1]
    drawn = [set(line.split()) for line in fenced(section)[0].splitlines()]
    assert drawn == list(reversed(ROOMS))


def test_the_rooms_of_contributing_are_those_of_the_package() -> None:
    section = says(ROOT / "CONTRIBUTING.md").split("## The house")[1].split("##")[0]
    listed = {name.removesuffix(".py").rstrip("/") for name in inline(section)}
    assert set[str]().union(*ROOMS) <= listed


def test_every_command_has_its_place_on_the_page_of_commands() -> None:
    synopsis = fenced(says(ROOT / "docs" / "cli.md"))[0]
    assert set(re.findall(r"^f2r (\w+)", synopsis, re.MULTILINE)) == set(options())


def table(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table that follows a text on a page, without its head."""
    lines = says(ROOT / page).split(heading, 1)[1].split("\n|", 1)[1].split("\n\n")[0]
    rows = lines.replace("\\|", "/").splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def denoise_parameters() -> list[Any]:
    """The options of `f2r denoise`."""
    group = typer.main.get_command(command_line())
    params = group.commands["denoise"].params  # type: ignore[attr-defined]  # a group
    return [param for param in params if param.opts[0].startswith("-")]


def test_every_option_of_denoise_is_on_its_page() -> None:
    page = says(ROOT / "docs" / "cli.md")
    for param in denoise_parameters():
        flags = [flag for flag in (*param.opts, *param.secondary_opts) if flag.startswith("--")]
        assert any(re.search(rf"{flag}(?![\w-])", page) for flag in flags), flags


def test_the_page_of_commands_has_the_defaults_of_denoise() -> None:
    stated = {}
    for row in table("docs/cli.md", "## `f2r denoise`"):
        flags = re.findall(r"--[a-z-]+", row[0])
        stated |= dict.fromkeys(flags, row[1].strip("`"))
    known = {p.opts[0]: p.default for p in denoise_parameters() if p.opts[0] in stated}
    numbers = {flag: f"{value:g}" for flag, value in known.items() if isinstance(value, float)}
    texts = {flag: value for flag, value in known.items() if isinstance(value, str)}
    assert len(numbers | texts) > 6
    assert {flag: stated[flag] for flag in numbers | texts} == numbers | texts


def test_the_page_of_commands_has_every_exit_code() -> None:
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert {int(row[0]) for row in table("docs/cli.md", "## Exit codes")} == codes


def test_metrics_noises_and_benchmarks_are_on_the_page_of_evaluation() -> None:
    page = says(ROOT / "docs" / "eval.md")
    named = {code.partition(":")[0] for code in inline(page)}
    kinds = {name for name, kind in KINDS.items() if not kind.training}
    assert {*metrics.available(), *metrics.of_scenes(), *kinds, *benchmarks.available()} <= named
    training = inline(says(ROOT / "docs" / "training.md"))
    assert KINDS.keys() <= {code.partition(":")[0] for code in training}


def test_the_help_of_noise_names_every_kind() -> None:
    group = typer.main.get_command(command_line())
    for name, kinds in {
        "train": KINDS,
        "eval": {n for n, k in KINDS.items() if not k.training},
    }.items():
        params = group.commands[name].params  # type: ignore[attr-defined]  # a group
        said = next(param.help for param in params if param.name == "noise")
        assert [kind for kind in kinds if not re.search(rf"(?<![\w-]){kind}(?![\w-])", said)] == []


def test_the_page_of_methods_has_every_choice_of_training() -> None:
    rows = {row[0].strip("`"): row for row in table("docs/methods.md", "## Training them")}
    for method in set(trainable()) - {"f2r"}:
        offered = capabilities_of(method)
        recipes, variants, sizes, lengths = rows[method][1:]
        assert set(inline(recipes)) == set(offered.recipes)
        assert set(inline(variants)) == set(offered.variants)
        assert set(inline(sizes)) == set(offered.sizes)
        assert [int(length) for length in lengths.split(",")] == list(offered.lengths)


def test_types_of_the_design_are_where_it_says() -> None:
    for names, homes, _ in table("DESIGN.md", "## Rooms and direction"):
        code = "\n".join(says(PACKAGE / home) for home in inline(homes))
        for name in inline(names):
            assert re.search(rf"^class {name}\b", code, re.MULTILINE), name


def test_every_keyword_of_the_python_api_is_on_its_page() -> None:
    named = set(inline(says(ROOT / "docs" / "api.md")))
    assert set(inspect.signature(f2rcli.denoise).parameters) - {"frames"} <= named


def test_every_benchmark_is_in_contributing() -> None:
    text = says(ROOT / "CONTRIBUTING.md")
    scripts = (path for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in says(path))
    assert [path.name for path in scripts if f"benchmarks/{path.name}" not in text] == []


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads(says(ROOT / "pyproject.toml"))["project"]
    extras = project["optional-dependencies"].values()
    asked = (name for group in (project["dependencies"], *extras) for name in group)
    page = says(ROOT / "docs" / "dependencies.md").lower()
    names = {re.split(r"[<>=\[; ]", name)[0] for name in asked} - {"f2rcli"}
    assert {name for name in names if name.lower() not in page} == set()


def test_every_test_that_a_promise_names_exists() -> None:
    named = [
        code for code in inline((ROOT / "docs" / "reliability.md").read_text()) if "tests/" in code
    ]
    assert len(named) > 40
    for code in named:
        path, _, test = code.partition("::")
        text = (ROOT / path).read_text()
        assert not test or re.search(rf"^def {test}\(", text, re.MULTILINE), code


def test_every_promise_of_the_readme_has_its_row() -> None:
    section = says(ROOT / "README.md").split("## What you can rely on")[1].split("\n## ")[0]
    promises = [found.rstrip(".") for found in re.findall(r"^- \*\*(.+?)\*\*", section, re.M)]
    table = (
        says(ROOT / "docs" / "reliability.md").split("| the README promises")[1].split("\n\n")[0]
    )
    rows = [row.strip("| ").lower() for row in table.splitlines()]
    assert len(promises) > 6
    assert [row for row in rows[2:] if "tests/" not in row] == []
    assert [p for p in promises if not any(row.startswith(p.lower()) for row in rows)] == []
