"""Text that may hold anything, such as the names of files, made safe to show."""

import re

# Control characters, which move a terminal's cursor or colour it, and marks that turn the
# direction of writing round.
_UNSAFE = "\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
_IN_LINE = re.compile(f"[{_UNSAFE}\n]")
_IN_LINES = re.compile(f"[{_UNSAFE}]|\n(?! )")  # lines that go on are indented


def one_line(text: str) -> str:
    """The text with backslash escapes for whatever is not plain text, line breaks too."""
    return _IN_LINE.sub(_escaped, text)


def lines(text: str) -> str:
    """The same, but lines that begin with a space stay lines: no name can begin one of its own."""
    return _IN_LINES.sub(_escaped, text)


def encodable(text: str, encoding: str) -> str:
    """The same, with escapes for what an encoding lacks, as Python's standard error writes them."""
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
