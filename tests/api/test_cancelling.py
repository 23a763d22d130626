"""`cancel=` at any moment, through every door: it ends soon, with one error, and leaves nothing."""

import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import f2rcli
from f2rcli.engine.device import Runner
from f2rcli.errors import CancelledError
from tests.api.test_kinds import counts

Door = Callable[..., Any]


def arrays(clip: Any, folder: Path, **options: Any) -> Any:
    return f2rcli.denoise(clip, **options)


def frames(clip: Any, folder: Path, **options: Any) -> Any:
    return list(f2rcli.denoise(iter(clip), **options))


def files(clip: Any, folder: Path, **options: Any) -> Any:
    source = folder / "source.tif"
    tifffile.imwrite(source, clip, photometric="minisblack")
    f2rcli.denoise(source, folder / "clean.tif", overwrite=True, **options)
    (folder / "clean.tif").unlink()


@pytest.mark.parametrize(
    ("door", "axes"), [(arrays, "TYX"), (arrays, "TCYX"), (frames, "YX"), (files, "TYX")]
)
def test_a_run_is_asked_at_every_pass_of_a_network(
    door: Door, axes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dim stacks, which are looked at for long before the first result, and lanes as well."""
    events: list[str] = []
    inner = Runner._run

    def passed(self: Runner, *inputs: Any) -> Any:
        events.append("pass")
        return inner(self, *inputs)

    def asked() -> bool:
        events.append("asked")
        return False

    monkeypatch.setattr(Runner, "_run", passed)
    clip = counts(6)[:, 8:, 8:]
    if axes == "TCYX":
        clip = np.stack([clip, clip + 1], 1)
    elif door is arrays:
        clip = np.random.default_rng(0).poisson(0.5, (16, 24, 24)).astype(np.uint16) * 8 + 100
    door(clip, tmp_path, cancel=asked, axes=axes, threads=1)
    assert events.count("pass") >= 3 * 6  # three networks for every frame
    assert ("pass", "pass") not in pairwise(events)


@pytest.mark.parametrize("door", [arrays, frames, files])
def test_an_end_leaves_no_file_and_no_thread(door: Door, tmp_path: Path) -> None:
    """The error is kept, as a window keeps it to show it: what it saw must not live on in it."""
    clip, kept = counts(6), []
    door(clip, tmp_path, strength=0)  # what is kept for good is there
    before = threading.active_count()
    for last in (0, 1):
        done = [0]
        with pytest.raises(CancelledError) as ended:
            door(
                clip, tmp_path, threads=2, progress=lambda *now: done.append(now[0]),  # noqa: B023  # used at once
                cancel=lambda: done[-1] >= last,  # noqa: B023
            )  # fmt: skip
        kept.append(ended.value)
        assert threading.active_count() == before
        assert [path.name for path in tmp_path.iterdir() if path.name != "source.tif"] == []
