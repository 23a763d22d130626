"""A receipt: sizes before and after, the speed, and nothing that is not known."""

from dataclasses import replace
from pathlib import Path

from f2rcli.cli.terminal.receipts import Finished
from f2rcli.io.base import Receipt

WROTE = Receipt(
    path="a/out.mp4", frames=250, seconds=10.0, bytes=3_100_000, codec="libx264 yuv420p",
    kept=("audio #1 aac", "chapters"), verified=("250 frames",),
)  # fmt: skip


def test_numbers_first_then_what_travelled() -> None:
    assert list(Finished(WROTE, 12.5, 5_200_000).lines()) == [
        "out.mp4: 250 frames, 10.00 s, 5.2 MB -> 3.1 MB, libx264 yuv420p, 0.8x real time",
        "  kept audio #1 aac, chapters",
        "  verified 250 frames",
    ]


def test_the_folder_one_stands_in_has_its_name(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path, name in ((".", tmp_path.name), ("/", "/"), ("a/b/", "b")):
        assert next(Finished(replace(WROTE, path=path), 12.5).lines()).startswith(f"{name}: 250")


def test_what_is_not_known_is_left_out() -> None:
    piped = Receipt(path="-", frames=1, seconds=0.0, bytes=0, codec="rawvideo", dropped=("cover",))
    assert list(Finished(piped, 1.0).lines()) == [
        "standard output: 1 frame, rawvideo", "  dropped cover", "  not verified",
    ]  # fmt: skip
