"""A video tells how it was made, and a run can be made like it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from f2rcli import __version__
from f2rcli.errors import EXIT_INPUT, EXIT_OK, EXIT_USAGE


def told(f2r: Callable[..., Any], path: Path) -> Any:
    done = f2r("info", path, "--json")
    assert done.code == EXIT_OK, done.err
    return json.loads(done.out.splitlines()[-1])["provenance"]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".nut"])
def test_a_video_tells_how_it_was_made(f2r: Callable[..., Any], clip: Path, suffix: str) -> None:
    out = clip.with_name(f"out{suffix}")
    assert f2r("denoise", clip, "-o", out, "--strength", "0.8", "--preset", "fast").code == EXIT_OK
    facts = told(f2r, out)
    assert facts["f2r"] == __version__
    assert facts["settings"] == {"strength": 0.8, "preset": "fast"}
    assert facts["noise"] == {"sigma8": [10, 12, 14]}  # the fake engine's
    assert (facts["weights"], facts["contract"]) == ("fake", True)
    assert "made by   f2r" in f2r("info", out).out
    assert str(clip.parent) not in json.dumps(facts)


def test_numbered_pictures_tell_it_too(f2r: Callable[..., Any], clip: Path) -> None:
    out, again, silent = (clip.with_name(name) for name in ("out", "again", "silent"))
    first = "%05d.png"
    assert f2r("denoise", clip, "-o", out / first, "--strength", "0.8").code == EXIT_OK
    assert told(f2r, out)["settings"] == {"strength": 0.8}
    assert f2r("denoise", out, "-o", again, "--like", out).code == EXIT_OK
    assert told(f2r, again)["settings"] == {"strength": 0.8}
    assert (again / "00001.png").read_bytes().count(b"tEXtf2r") == 1
    assert f2r("denoise", out, "-o", silent, "--no-provenance").code == EXIT_OK
    assert told(f2r, silent) is None


def test_silence_can_be_asked_for_and_an_old_tag_does_not_travel(
    f2r: Callable[..., Any], clip: Path
) -> None:
    out, again = clip.with_name("out.mkv"), clip.with_name("again.mp4")
    f2r("denoise", clip, "-o", out, "--strength", "0.8")
    f2r("denoise", out, "-o", again, "--no-provenance")
    assert told(f2r, clip) is None
    assert told(f2r, again) is None
    with av.open(str(again)) as container:
        assert "0.8" not in str(container.metadata)


def test_a_run_like_an_earlier_one(f2r: Callable[..., Any], clip: Path) -> None:
    first, second, third = (clip.with_name(f"{name}.mkv") for name in "abc")
    options = ("--strength", "0.8", "--encoder-opt", "tune=grain", "--codec", "h264", "--frames", 4)
    f2r("denoise", clip, "-o", first, *options)
    done = f2r("denoise", clip, "--like", first, "-o", second)
    assert done.code == EXIT_OK, done.err
    settings = {"strength": 0.8, "encoder_opt": ["tune=grain"], "codec": "h264"}
    assert told(f2r, second)["settings"] == settings  # not which part
    f2r("denoise", clip, "--like", first, "-o", third, "--strength", "0.5")
    assert told(f2r, third)["settings"] == settings | {"strength": 0.5}


def test_what_tells_nothing_or_nonsense_is_no_model(f2r: Callable[..., Any], clip: Path) -> None:
    done = f2r("denoise", clip, "--like", clip, "-o", clip.with_name("o.mkv"))
    assert done.code == EXIT_INPUT
    assert "does not say how f2r made it" in done.err
    for text, code in (
        ('{"f2r": ' + "[" * 9999, EXIT_INPUT),
        ('{"f2r": 1, "settings": 3}', EXIT_INPUT),
        ('{"f2r": 1, "settings": {"nonsense": {}}}', EXIT_USAGE),
        ('{"f2r": 1, "settings": {"log_file": "clip.mp4", "report": "x", "output": 3}}', EXIT_OK),
        ('{"f2r": [], "noise": [], "sha256": {}, "settings": {"strength": [1]}}', EXIT_USAGE),
    ):
        odd = clip.with_name("odd.mkv")
        with av.open(str(clip)) as source, av.open(str(odd), "w") as target:
            target.metadata["F2R"] = text
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                packet.stream = stream
                if packet.dts is not None:
                    target.mux(packet)
        assert f2r("info", odd).code == EXIT_OK
        assert f2r("denoise", clip, "--like", odd, "--dry-run").code == code
