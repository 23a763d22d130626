"""The Python API speaks Python: parameter names, its own units, and hints in tracebacks."""

import re
import threading
from fractions import Fraction
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
import tifffile

import f2rcli
from f2rcli.api.call import Keywords, Options
from f2rcli.errors import CancelledError, F2RError, InputError, UsageError
from f2rcli.settings import settings_of

CLIP = np.zeros((2, 64, 64), np.uint8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": -1}, "sigma=-1: must be 0 or more (in the arrays' own units"),
        ({"weights": "./nope.safetensors"}, "weights='./nope.safetensors': neither"),
        ({"device": "gpu"}, "device='gpu': no such choice"),
        ({"tile": 7}, "tile=7: must be 64 or more (pixels per side)"),
        ({"threads": 0}, "threads=0: must be between 1 and"),
        ({"strength": "much"}, "strength='much': must be between 0 and 4"),
        ({"strength": "1"}, "strength='1': must be between 0 and 4"),
        ({"strength": Fraction(9, 2)}, "strength=4.5: must be between 0 and 4"),
        ({"strength": True}, "strength=True: must be a number"),
        ({"sigma": [5]}, "sigma=[5]: must be 0 or more"),
        ({"threads": 1.5}, "threads=1.5: must be a whole number"),
        ({"device": None}, "device=None: must be text"),
        ({"axes": 3}, "axes=3: must be text"),
        ({"levels": (9, 9)}, "levels=(9, 9): must be two numbers, the lower one first"),
        ({"levels": "wide"}, "levels='wide': must be two numbers"),
        ({"strenght": 1}, "strenght: no such option"),
        ({"progress": "yes"}, "progress='yes': neither True, False nor a function"),
        ({"cancel": True}, "cancel=True: not a function"),
        ({"output": "clean.tif"}, "output='clean.tif': a path is for files only"),
        ({"overwrite": True}, "overwrite=True: for files only"),
        ({"series": 1}, "series: for files only"),
    ],
)
def test_errors_name_parameters_and_units(options: dict[str, object], message: str) -> None:
    with pytest.raises(F2RError, match=re.escape(message)) as caught:
        f2rcli.denoise(CLIP, **options)
    assert "--" not in str(caught.value)


def test_wide_integers_are_told_what_to_become() -> None:
    with pytest.raises(InputError, match="array: samples are int64, too wide") as caught:
        f2rcli.denoise(CLIP.astype(np.int64))
    assert "32 bits" in str(caught.value.hint)


def test_an_empty_path_is_an_input_error() -> None:
    with pytest.raises(InputError, match="the path is empty"):
        f2rcli.denoise("")


def test_a_series_may_be_a_number(tmp_path: Path) -> None:
    path = tmp_path / "two.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        for _ in range(2):
            file.write(CLIP, metadata={"axes": "TYX"})
    options = {"strength": 0, "overwrite": True}
    assert f2rcli.denoise(path, tmp_path / "out.tif", series=2, **options).exists()
    with pytest.raises(F2RError, match="series='3'"):
        f2rcli.denoise(path, tmp_path / "out.tif", series=3, **options)


def test_editors_and_type_checkers_know_every_option() -> None:
    types = get_type_hints(Keywords)
    assert list(types) == list(settings_of(Options))
    for name, kind in get_type_hints(Options).items():
        if name in types:
            assert {*get_args(kind), kind} & {*get_args(types[name]), types[name]}, name


def test_progress_is_a_bar_on_standard_error(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal
    assert np.array_equal(f2rcli.denoise(CLIP, strength=0, progress=True), CLIP)
    told = capfd.readouterr()
    assert "100%" in told.err
    assert told.out == ""
    assert np.array_equal(f2rcli.denoise(CLIP, strength=0), CLIP)
    assert capfd.readouterr().err == ""


def test_progress_may_be_a_function_and_cancel_ends_the_run() -> None:
    seen: list[tuple[int, int | None]] = []
    clip = np.zeros((5, 16, 16), np.uint8)
    f2rcli.denoise(clip, strength=0, progress=lambda *done: seen.append(done))
    assert seen == [(number, 5) for number in range(1, 6)]
    stop = threading.Event()

    def watched(done: int, total: int | None) -> None:
        if done == 2:
            stop.set()

    with pytest.raises(CancelledError, match="cancelled"):
        f2rcli.denoise(clip, strength=0, progress=watched, cancel=stop.is_set)
    with pytest.raises(CancelledError):
        next(f2rcli.denoise(iter(clip), cancel=stop.is_set))


def test_a_cancelled_file_leaves_nothing(tmp_path) -> None:
    source, target = tmp_path / "s.tif", tmp_path / "clean.tif"
    tifffile.imwrite(source, CLIP, photometric="minisblack")
    with pytest.raises(CancelledError):
        f2rcli.denoise(source, target, strength=0, cancel=lambda: True)
    assert [path.name for path in tmp_path.iterdir()] == ["s.tif"]


@pytest.mark.parametrize(
    "options",
    [{"output": CLIP.tolist()}, {"levels": CLIP}, {"sigma": CLIP}, {"axes": CLIP},
     {"device": CLIP}, {"cancel": CLIP}, {"progress": CLIP}],
)  # fmt: skip
def test_what_is_wrong_is_shown_on_one_line(options: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        f2rcli.denoise(CLIP, **options)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_live_frames_have_no_series() -> None:
    with pytest.raises(UsageError, match="series: for files only"):
        f2rcli.Denoiser(series=1)
