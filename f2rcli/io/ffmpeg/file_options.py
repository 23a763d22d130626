"""Options of encoders that read or write files: refused, since no option may write an input."""

import re

from f2rcli.errors import UsageError

# Also within "-params". A run file may come from anyone.
_FILES = {
    "dump-yuv", "stats", "pass", "cqmfile", "opencl-clbin", "csv", "lambda-file", "scaling-list",
    "recon", "qpfile", "zonefile", "dhdr10-info", "nalu-file", "aom-film-grain", "fgs-table",
    "passlogfile", "reconfig-file", "stat-file", "input-stat-file", "output-stat-file",
}  # fmt: skip


def refuse_files(name: str, value: str) -> None:
    """Raise UsageError for an option that names a file or makes one."""
    plain = re.sub(r"[\s'\"\\]", "", f"{name}={value}").replace("_", "-").lower()
    known = _FILES | ({"film-grain"} if name == "x265-params" else set())  # a number to others
    words = re.split(r"[:=,+]", plain)
    found = [word for word in words if word in known or word.startswith("analysis-")]
    if name == "flags" and "pass" in plain:
        found.append("pass")
    if found:
        raise UsageError(
            f"encoder option {name}={value}: {found[0]} reads or writes files.",
            hint="Leave it out.",
        )
