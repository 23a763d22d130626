"""The list of tests that the default run leaves out is of tests that are there."""

import re
import tomllib

import pytest

from tests import conftest


def test_what_is_left_out_is_there_and_so_is_what_stays_of_it(pytestconfig: pytest.Config) -> None:
    """A case that is called otherwise by now would be left out without a word."""
    found = pytestconfig.stash[conftest.FOUND]
    files = {name.partition("::")[0] for name in found}
    for group in tomllib.loads(conftest.SLOW.read_text(encoding="utf-8"))["left_out"]:
        stays = dict.fromkeys(group["whole"], ()) | group.get("stays", {})
        for name, cases in stays.items():
            assert (conftest.SLOW.parent / name.partition("::")[0]).is_file(), name
            if name.partition("::")[0] in files:
                assert name in found
                assert found[name].issuperset(cases), name


def test_what_stays_in_place_of_it_is_there() -> None:
    """Files that the list names beside a test."""
    text = conftest.SLOW.read_text(encoding="utf-8")
    for name in re.findall(r"# .*?([\w/]*test_\w+\.py)", text):
        assert any(conftest.SLOW.parent.rglob(name)), name
