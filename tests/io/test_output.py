"""Nothing appears at the target until it is whole, and nothing of the user's is harmed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from f2rcli.errors import InputError, OutputError, UsageError
from f2rcli.io import WriteOptions, default_target, open_reader, open_writer, plan_output
from f2rcli.io.files import PartFile
from f2rcli.io.video.writer import VideoWriter
from tests.io.raw_files import write_burst


@pytest.fixture
def clip(tools, tmp_path: Path) -> Path:
    return tools.film(tmp_path / "in.mkv", pts=12)


@pytest.mark.parametrize(
    ("kind", "name", "beside"),
    [
        ("mkv", "o.mp4", [".lock", ".part"]),
        ("mkv", "o%02d.png", [".part"]),
        ("dng", "out", [".lock", ".part"]),
    ],
)
def test_leaving_without_finish_leaves_nothing(
    kind: str, name: str, beside: list[str], clip: Path, tmp_path: Path, in_folder
) -> None:
    source = clip if kind == "mkv" else write_burst(tmp_path / "burst")
    before = in_folder()
    with open_reader(source) as reader:
        with open_writer(reader, plan_output(reader, tmp_path / name)) as writer:
            for frame in reader:
                writer.write(frame)
            assert sorted(Path(one).suffix for one in {*in_folder()} - {*before}) == beside
        assert in_folder() == before


def test_an_exception_in_mid_run_leaves_nothing(clip: Path, tmp_path: Path, in_folder) -> None:
    class Interrupted(Exception):
        pass

    def run() -> None:
        with (
            open_reader(clip) as reader,
            open_writer(reader, plan_output(reader, tmp_path / "out.mp4")) as writer,
        ):
            writer.write(next(iter(reader)))
            raise Interrupted

    with pytest.raises(Interrupted):
        run()
    assert in_folder() == ["in.mkv"]


def test_planning_touches_nothing(clip: Path, tmp_path: Path, in_folder) -> None:
    with open_reader(clip) as reader:
        for name in ("a.mp4", "b.mkv", "c.mov", "d.webm", "e.ts", "f.y4m", "%05d.png"):
            plan_output(reader, tmp_path / name)
    assert in_folder() == ["in.mkv"]


def test_a_clip_without_frames_is_an_error(clip: Path, tmp_path: Path, in_folder) -> None:
    with (
        open_reader(clip) as reader,
        open_writer(reader, plan_output(reader, tmp_path / "out.mp4")) as writer,
        pytest.raises(InputError, match="no frames"),
    ):
        writer.finish()
    assert in_folder() == ["in.mkv"]


def test_a_target_that_appears_during_the_run_is_not_replaced(clip, tmp_path, in_folder) -> None:
    target = tmp_path / "out.mp4"
    with open_reader(clip) as reader, open_writer(reader, plan_output(reader, target)) as writer:
        for frame in reader:
            writer.write(frame)
        target.write_bytes(b"precious")
        with pytest.raises(OutputError, match="exists"):
            writer.finish()
    assert target.read_bytes() == b"precious"
    assert in_folder() == ["in.mkv", "out.mp4"]


def test_overwrite_replaces_at_the_very_end(tools, clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"old")
    with open_reader(clip) as reader:
        plan = plan_output(reader, target, WriteOptions(overwrite=True))
        with open_writer(reader, plan) as writer:
            for frame in reader:
                writer.write(frame)
            assert target.read_bytes() == b"old"
            writer.finish()
    assert len(tools.read_all(target)) == 12


@pytest.mark.parametrize("link", ["same", "hard", "soft", "spelling"])
def test_the_input_is_never_the_output(clip: Path, tmp_path: Path, link: str) -> None:
    target = tmp_path / "link.mkv"
    if link == "same":
        target = clip
    elif link == "hard":
        os.link(clip, target)
    elif link == "soft":
        target.symlink_to(clip)
    else:
        target = tmp_path / ".." / tmp_path.name / "in.mkv"
    before = clip.read_bytes()
    with open_reader(clip) as reader, pytest.raises(UsageError, match="input itself"):
        plan_output(reader, target, WriteOptions(overwrite=True))
    assert clip.read_bytes() == before


def test_a_folder_that_does_not_exist(clip: Path, tmp_path: Path) -> None:
    with open_reader(clip) as reader, pytest.raises(OutputError, match="does not exist"):
        plan_output(reader, tmp_path / "no" / "out.mp4")
    with open_reader(clip) as reader, pytest.raises(OutputError, match=r"in\.mkv is a file, not"):
        plan_output(reader, clip / "out.mkv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    with open_reader(clip) as reader, pytest.raises(OutputError, match="permission"):
        plan_output(reader, folder / "out.mp4")


def test_a_folder_as_target_of_a_video(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").mkdir()
    with open_reader(clip) as reader, pytest.raises((OutputError, UsageError)):
        plan_output(reader, tmp_path / "out.mp4" / "", WriteOptions(codec="h264"))


FULL_DISK = """
import resource, sys
from f2rcli.errors import F2RError
from f2rcli.io import open_reader, open_writer, plan_output
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
for target in sys.argv[2:]:
    try:
        with (
            open_reader(sys.argv[1]) as reader,
            open_writer(reader, plan_output(reader, target)) as writer,
        ):
            for frame in reader:
                writer.write(frame)
            writer.finish()
    except F2RError as error:
        print(type(error).__name__, error, error.hint)
"""


def test_a_full_disk_is_said_and_leaves_nothing(tools, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "in.mkv", codec="libx264", pts=40, size=(192, 128))
    (tmp_path / "out").mkdir()
    targets = [f"{tmp_path}/out/{name}" for name in ("out.mkv", "out.mp4", "out.mov", "%03d.png")]
    run = subprocess.run(  # -B: what Python compiles would be cut off, too, and stay
        [sys.executable, "-B", "-c", FULL_DISK, str(source), *targets],
        capture_output=True, text=True,
    )  # fmt: skip
    said = run.stdout.splitlines()
    assert len(said) == len(targets), (run.stdout, run.stderr)
    assert all(line.startswith("OutputError") and "size limit" in line for line in said)
    assert "Traceback" not in run.stderr
    assert list((tmp_path / "out").iterdir()) == []
    assert sorted(os.listdir(tmp_path)) == ["in.mkv", "out"]


def test_dev_full(tools, tmp_path: Path) -> None:
    source = tools.write_clip(tmp_path / "in.mkv", codec="libx264", pts=30, size=(192, 128))
    script = (
        "import sys; from f2rcli.io import *\n"
        "from f2rcli.errors import F2RError\n"
        "try:\n"
        "  with open_reader(sys.argv[1]) as r, open_writer(r, plan_output(r, '-')) as w:\n"
        "    [w.write(f) for f in r]; w.finish()\n"
        "except F2RError as e: print(e, file=sys.stderr)\n"
    )
    with open("/dev/full", "wb") as full:
        run = subprocess.run(
            [sys.executable, "-c", script, str(source)], stdout=full, stderr=subprocess.PIPE
        )
    assert b"the disk is full" in run.stderr


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_run_leaves_nothing_at_the_target(tools, tmp_path: Path, kill: int) -> None:
    source = tools.film(tmp_path / "in.mkv", pts=30)
    script = (
        "import sys, time; from f2rcli.io import *\n"
        "with open_reader(sys.argv[1]) as r, open_writer(r, plan_output(r, sys.argv[2])) as w:\n"
        "  for n, f in enumerate(r):\n"
        "    w.write(f)\n"
        "    if n == 9: print('ready', flush=True); time.sleep(300)\n"
    )
    target = tmp_path / "out.mp4"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(source), str(target)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(kill)
        process.wait(240)
    assert not target.exists()
    left = {".out.mp4.part", ".out.mp4.lock"} if kill == signal.SIGKILL else set()
    assert set(os.listdir(tmp_path)) == {"in.mkv"} | left
    tools.passthrough(source, target)  # a dead run's part file is taken over
    assert sorted(os.listdir(tmp_path)) == ["in.mkv", "out.mp4"]


def test_two_runs_cannot_write_one_target(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    first = PartFile(target, overwrite=False)
    with open_reader(clip) as reader:
        plan = plan_output(reader, target)
        with pytest.raises(OutputError, match="another run"):
            open_writer(reader, plan)
    assert first.folder.exists()
    first.discard()


def test_a_file_that_reads_back_wrong_is_not_published(
    tools, clip: Path, tmp_path: Path, in_folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A muxer that swallows a frame: planted in the writer's own count of them."""
    real = VideoWriter._encode

    def encode(writer, frame, *, last: bool) -> None:
        real(writer, frame, last=last)
        writer.frames += frame.pts == 0

    monkeypatch.setattr(VideoWriter, "_encode", encode)
    with pytest.raises(OutputError, match="13 frames were written but the file has 12"):
        tools.passthrough(clip, tmp_path / "out.mp4")
    assert in_folder() == ["in.mkv"]


@pytest.mark.parametrize(
    ("source", "target"),
    [("a.mp4", "a_f2r.mp4"), ("b.MOV", "b_f2r.MOV"), ("c.mkv", "c_f2r.mkv"),
     ("d.webm", "d_f2r.webm"), ("e.ts", "e_f2r.ts"), ("f.avi", "f_f2r.mkv"),
     ("g.mpg", "g_f2r.mkv"), ("h.h264", "h_f2r.mkv"),
     ("i.gif", "i_f2r.mkv"), ("j.dv", "j_f2r.mkv"), ("k.y4m", "k_f2r.y4m"), ("l.png", "l_f2r.png"),
     ("-", "-"), ("p/%05d.png", "p_f2r/%05d.png"), ("m", "m_f2r.mkv"),
     ("n.3gp", "n_f2r.mov"),
     # with a codec, which their own container may not hold
     ("a.mp4 ffv1", "a_f2r.mkv"), ("b.MOV x265", "b_f2r.MOV"), ("c.m4v prores_ks", "c_f2r.mov"),
     ("d.webm h264", "d_f2r.mp4"), ("e.tif ffv1", "e_f2r.tif"), ("f.mp4 none", "f_f2r.mp4")],
)  # fmt: skip
def test_default_targets(source: str, target: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = default_target(*source.split())
    assert str(found.relative_to(tmp_path) if found.is_absolute() else found) == target


def test_the_receipt_says_what_was_written_and_verified(tools, clip: Path, tmp_path: Path) -> None:
    _, receipt = tools.passthrough(clip, tmp_path / "out.mp4")
    first, *others = receipt.lines()
    assert first.startswith("out.mp4: 12 frames, 0.48 s, ")
    assert others[-1] == "  verified 12 frames, last frame at 0.440 s"
    assert receipt.bytes == (tmp_path / "out.mp4").stat().st_size
    assert "\n" not in "".join([first, *others])
