"""What the commands read: small whole files of many kinds, each in a folder, to be damaged."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import tifffile
from numpy.typing import NDArray

SIZE, FRAMES = 64, 8
MOVING = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".ts", ".y4m", ".gif")
# Name -> encoder, its pixel format.
VIDEOS = {
    "h264.mp4": ("libx264", "yuv420p"), "hevc.mp4": ("libx265", "yuv420p"),
    "mpeg4.avi": ("mpeg4", "yuv420p"), "prores.mov": ("prores_ks", "yuv422p10le"),
    "h264.mkv": ("libx264", "yuv420p"), "ffv1.mkv": ("ffv1", "yuv420p"),
    "vp9.webm": ("libvpx-vp9", "yuv420p"),
    "h264.ts": ("libx264", "yuv420p"), "mpeg2.ts": ("mpeg2video", "yuv420p"),
    "ffv1.nut": ("ffv1", "gray"), "raw.y4m": ("rawvideo", "yuv420p"), "anim.gif": ("gif", "pal8"),
}  # fmt: skip
MEASURE = ("--threads", "1")
TELL = (*MEASURE, "--sigma", "8")  # the noise, which is quicker than measuring it


@dataclass(frozen=True)
class Seed:
    """A folder's name, the command that is run in a copy of it, and what is damaged there."""

    name: str
    kind: str  # of files, for the table
    source: str  # what is denoised
    out: str
    harmed: str  # pattern of the files of which one is damaged
    options: Sequence[str] = ()
    wanted: str = ""  # a file whose bytes the result must have, whatever is damaged
    words: Sequence[str] = ()  # another command than denoise

    def command(self, more: tuple[str, ...]) -> list[str]:
        """The words after `f2r`; fitting measures the noise and takes none that it is told."""
        more = MEASURE if "--adapt" in self.options else more
        return list(self.words) or ["denoise", self.source, "-o", self.out, *more, *self.options]


def usual(room: Path) -> list[Seed]:
    """Stacks and videos; those that this FFmpeg cannot write are left out."""
    names = [*STACKS, *(name for name, how in VIDEOS.items() if _encoded(room, name, how))]
    for name, write in STACKS.items():
        write(_folder(room, name) / f"in{_suffixes(name)}")
    return [
        of_file(name, ".tif", "TIFF") if name in STACKS
        else of_file(name, ".mkv", Path(name).suffix[1:])
        for name in sorted(names)
    ]  # fmt: skip


def of_file(name: str, out: str, kind: str) -> Seed:
    """A seed of one file, which becomes one of suffix `out`."""
    suffixes = _suffixes(name)
    return Seed(name, kind, f"in{suffixes}", f"out{out}", f"in{suffixes}")


def _suffixes(name: str) -> str:
    return "".join(Path(name).suffixes)


def _folder(room: Path, name: str) -> Path:
    (room / name).mkdir()
    return room / name


def given_files(room: Path, files: Sequence[Path], words: Sequence[str]) -> list[Seed]:
    """Seeds of files that are there already."""
    seeds = []
    for number, file in enumerate(files):
        name = f"{number} {file.name}"
        shutil.copy(file, _folder(room, name) / f"in{file.suffix}")
        out = "out.mkv" if file.suffix in MOVING else "out.ome.tif"
        seeds.append(
            Seed(name, file.suffix[1:], f"in{file.suffix}", out, f"in{file.suffix}", words)
        )
    return seeds


def copied(whole: Path, work: Path) -> Path:
    """A copy of a folder, to be damaged."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(whole, work)
    return work


def pictures() -> NDArray[np.uint8]:
    """A noisy drifting ramp, (FRAMES, SIZE, SIZE)."""
    rng = np.random.default_rng(3)
    ramp = np.add.outer(np.arange(SIZE), np.arange(SIZE))
    moving = np.stack([(ramp + 2 * index) % 200 + 20 for index in range(FRAMES)])
    return (moving + rng.normal(0, 8, moving.shape)).clip(0, 255).astype(np.uint8)


def _encoded(room: Path, name: str, how: tuple[str, str]) -> bool:
    path = _folder(room, name) / f"in{_suffixes(name)}"
    try:
        video(path, *how)
    except (av.FFmpegError, ValueError):
        return False
    return True


def video(path: Path, encoder: str, form: str, frames: int = FRAMES) -> None:
    """Encode the first pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=Fraction(25))
        stream.width, stream.height = SIZE, SIZE
        if encoder == "libx265":
            stream.codec_context.options = {"x265-params": "log-level=none"}
        stream.pix_fmt = "rgb8" if form == "pal8" else form
        for index, picture in enumerate(pictures()[:frames]):
            frame = av.VideoFrame.from_ndarray(picture, format="gray")
            frame = frame.reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def film(path: Path) -> int:
    """Seven frames of 1920x1080."""
    rng = np.random.default_rng(3)
    ramp = np.add.outer(np.arange(1080), np.arange(1920)) // 8
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for index in range(7):
            noisy = (ramp + 4 * index) % 200 + 20 + rng.normal(0, 8, ramp.shape)
            picture = noisy.clip(0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return 0


def _stack(path: Path, **options: object) -> None:
    values = pictures().astype(np.uint16) * 8
    tifffile.imwrite(path, values, **options)  # type: ignore[arg-type]


STACKS: dict[str, Callable[[Path], None]] = {
    "plain.tif": lambda path: _stack(path, photometric="minisblack"),
    "deflate.tif": lambda path: _stack(path, photometric="minisblack", compression="deflate"),
    "imagej.tif": lambda path: _stack(path, imagej=True, metadata={"axes": "TYX"}),
    "stack.ome.tif": lambda path: _stack(path, metadata={"axes": "TYX"}),
}
