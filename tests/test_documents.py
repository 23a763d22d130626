"""What code, tests and pages cite is in the repository, or is published; tables are whole."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("f2rcli", "tests", "benchmarks", "examples", "docs", "weights", ".")
MADE = {"result.md", "report.md", "table.md", "fidelity.md"}  # files that f2r writes


def texts() -> list[Path]:
    found = [path for folder in FOLDERS[:-1] for path in (ROOT / folder).rglob("*.py")]
    pages = [path for folder in FOLDERS for path in (ROOT / folder).glob("*.md")]
    return [path for path in (*found, *pages) if path != Path(__file__)]


def test_every_page_that_is_named_is_there() -> None:
    missing = []
    for path in texts():
        for name in set(re.findall(r"[\w./-]+\.md\b", path.read_text(encoding="utf-8"))):
            places = [path.parent, *(ROOT / folder for folder in FOLDERS)]
            if name not in MADE and not any((place / name).is_file() for place in places):
                missing.append(f"{path.relative_to(ROOT)}: {name}")
    assert not missing


def test_no_section_of_an_unknown_page_is_cited() -> None:
    """As "methods 9.4" or a test called e4: numbers of a page that readers do not have."""
    cited = re.compile(r"\bmethods,? (section )?\d|def test_[a-z]\d_")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in texts()
        if (match := cited.search(path.read_text(encoding="utf-8")))
    ]
    assert not found


def test_every_row_of_a_table_stands_in_one() -> None:
    """Markdown prints a row that follows a paragraph, or one of other columns, as text."""
    stray = []
    for path in texts():
        if path.suffix == ".md":
            text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
            for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
                rows = block.replace(r"\|", "").splitlines()
                ruled = len(rows) > 1 and not rows[1].strip("|-: ")
                if not ruled or len({row.count("|") for row in rows}) > 1:
                    stray.append(f"{path.relative_to(ROOT)}: {rows[0][:60]}")
    assert not stray
