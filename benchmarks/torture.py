"""f2r under torture: damaged files, and kills at any moment.

    python benchmarks/torture.py [--mutants 500] [--kills 20] [--seed 0] [--first 0] [--minutes 30]

Damaged copies of small files of many kinds go through the whole command in children under limits
of time and memory; PyAV, tifffile, zarr or h5py alone count the frames of what went in and came
out. Kills fall at random moments: what is at the target is whole, the input unchanged, and the same
command then gives the result of a run that nobody disturbed. --first goes on where an earlier run
ended. What is not as it should be is kept in the temporary folder; exits 1 then. Linux or macOS.
"""

import argparse
import contextlib
import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import tifffile

SIZE, FRAMES = 64, 8
CPU_SECONDS, WALL_SECONDS, MEMORY = 60, 120, 6 << 30
COUNT = "--count"  # a judge of one file, in a process of its own
PACKAGE = {"PYTHONPATH": os.pathsep.join(sys.path)}
MAIN = "from f2rcli.__main__ import main; main()"
# Runs keep a record from their first second on, else from their second minute.
AT_ONCE = "from f2rcli.engine import resuming; resuming.FIRST, resuming.SHARE = -1.0, 1e9; "
ONCE = "--threads", "1"
TELL = *ONCE, "--sigma", "8"  # the noise, which is quicker than measuring it
STACKS = ".tif", ".tiff", ".dng"
EDGE = 512  # bytes of headers and tails, where damage tells most
EXTREMES = b"\x00", b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\xff" * 8
ENDLESS = "does not say where it ends"  # the note of formats that cannot tell of a cut
GOOD = {
    "done", "done, damage reported", "clean error", "its end is not known", "the same result",
}  # fmt: skip
# Name -> encoder, its pixel format, frames.
VIDEOS = {
    "h264.mp4": ("libx264", "yuv420p"), "hevc.mp4": ("libx265", "yuv420p"),
    "mpeg4.avi": ("mpeg4", "yuv420p"), "prores.mov": ("prores_ks", "yuv422p10le"),
    "h264.mkv": ("libx264", "yuv420p"), "ffv1.mkv": ("ffv1", "yuv420p"),
    "vp9.webm": ("libvpx-vp9", "yuv420p"), "h264.ts": ("libx264", "yuv420p"),
    "mpeg2.mxf": ("mpeg2video", "yuv420p"), "raw.y4m": ("rawvideo", "yuv420p"),
    "anim.gif": ("gif", "pal8"), "mjpeg.avi": ("mjpeg", "yuvj420p"),
    "raw.h264": ("libx264", "yuv420p"),
}  # fmt: skip
PICTURES = {
    "one.png": ("png", "gray"), "one.jpg": ("mjpeg", "yuvj420p"),
    "one.webp": ("libwebp", "yuv420p"), "one.exr": ("exr", "gbrpf32le"),
    "one.dpx": ("dpx", "rgb24"),
}  # fmt: skip


@dataclass(frozen=True)
class Seed:
    """A folder with a whole input, the command that is run in a copy of it, what is damaged."""

    name: str
    kind: str  # of files, for the table
    source: str
    out: str
    harmed: str = ""  # pattern of the files of which one is damaged; "": the source

    def command(self, more: tuple[str, ...]) -> list[str]:
        return ["denoise", self.source, "-o", self.out, *more]


@dataclass(frozen=True)
class Ended:
    """How a child ended."""

    code: int  # its exit code; minus the signal that ended it
    seconds: float
    words: str  # of its standard error
    hung: bool = False

    @property
    def wrong(self) -> str:
        """What no run may do, in a word; else nothing."""
        return "hang" if self.hung else "exit 70" if self.code == 70 else (
            "crash" if self.code < 0 else "")  # fmt: skip

    @property
    def refused(self) -> bool:
        """Whether it ended with one line of an error."""
        errors = [line for line in self.words.splitlines() if line.startswith("error: ")]
        return self.code in (1, 2, 3) and len(errors) == 1


# Seeds: small whole files of many kinds.


def seeds_in(room: Path) -> list[Seed]:
    """Everything that this machine's libraries write."""
    found = []
    for name, how in (VIDEOS | PICTURES).items():
        source = f"in{''.join(Path(name).suffixes)}"
        picture = name in PICTURES
        with contextlib.suppress(av.FFmpegError, ValueError):
            video(_folder(room, name) / source, *how, frames=1 if picture else FRAMES)
            kind, out = ("picture", "out.png") if picture else (Path(name).suffix, "out.mkv")
            found.append(Seed(name, kind, source, out))
    values = pictures().astype(np.uint16) * 8
    plain: dict[str, dict[str, Any]] = {
        "plain.tif": {}, "deflate.tif": {"compression": "deflate"},
        "imagej.tif": {"imagej": True, "metadata": {"axes": "TYX"}},
        "stack.ome.tif": {"metadata": {"axes": "TYX"}},
    }  # fmt: skip
    for name, how in plain.items():
        source = f"in{''.join(Path(name).suffixes)}"
        tifffile.imwrite(_folder(room, name) / source, values, photometric="minisblack", **how)
        found.append(Seed(name, "TIFF", source, "out.tif"))
    burst = Path(__file__).parents[1] / "examples" / "raw_burst"
    shutil.copytree(burst, _folder(room, "burst") / "in")
    found.append(Seed("burst", "raw", "in", "out", "in/*.dng"))
    numbered = _folder(room, "numbered.png") / "in"
    numbered.mkdir()
    for index in range(FRAMES):
        shutil.copy(room / "one.png" / "in.png", numbered / f"f{index:04d}.png")
    found.append(Seed("numbered.png", "folder", "in", "out", "in/*.png"))
    import h5py
    import zarr

    with h5py.File(_folder(room, "movie.h5") / "in.h5", "w") as file:
        file.create_dataset("movie", data=values, chunks=(1, SIZE, SIZE), compression="gzip")
    found.append(Seed("movie.h5", "HDF5", "in.h5", "out.tif"))
    axes = [{"name": n, "type": "time" if n == "t" else "space"} for n in "tyx"]
    scale = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 1]}]}]
    group = zarr.open_group(_folder(room, "movie.zarr") / "in.zarr", mode="w")
    group.create_array("0", data=values, chunks=(1, SIZE, SIZE))
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": scale}]}
    found.append(Seed("movie.zarr", "Zarr", "in.zarr", "out.tif", "in.zarr/**/*"))
    return found


def _folder(room: Path, name: str) -> Path:
    (room / name).mkdir(exist_ok=True)
    return room / name


def pictures() -> np.ndarray:
    """A noisy drifting ramp, (FRAMES, SIZE, SIZE), 8 bits."""
    rng = np.random.default_rng(3)
    ramp = np.add.outer(np.arange(SIZE), np.arange(SIZE))
    moving = np.stack([(ramp + 2 * index) % 200 + 20 for index in range(FRAMES)])
    return (moving + rng.normal(0, 8, moving.shape)).clip(0, 255).astype(np.uint8)


def video(path: Path, encoder: str, form: str, frames: int) -> None:
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


# Children: what happens to them happens to no one else.


def command(words: Iterable[str], folder: Path, *, kill: tuple[int, float] | None = None,
            main: str = MAIN) -> Ended:  # fmt: skip
    """Run `f2r WORDS` in a folder. kill: a signal, and the seconds after which to send it."""
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    began, err = time.monotonic(), folder.parent / "err.txt"
    with err.open("w") as told:
        child = subprocess.Popen(
            [sys.executable, "-c", main, *words], cwd=folder, env=environment | PACKAGE,
            stdout=subprocess.DEVNULL, stderr=told, preexec_fn=_limited,
        )  # fmt: skip
        hung = not _ended(child, kill[1] if kill else WALL_SECONDS)
        if hung and kill:
            child.send_signal(kill[0])
            hung = not _ended(child, WALL_SECONDS)
        child.kill()
        code = child.wait()
    return Ended(code, time.monotonic() - began, err.read_text(errors="replace"), hung)


def _ended(child: "subprocess.Popen[bytes]", seconds: float) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(seconds)
    return child.returncode is not None


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


# Judges: other libraries alone, without any code of f2r.


def frames(path: Path) -> int | None:
    """The number of frames another reader finds in a file or folder, in a child; None for none."""
    judge = [sys.executable, __file__, COUNT, str(path)]
    done = subprocess.run(judge, capture_output=True, text=True, preexec_fn=_limited)
    return int(done.stdout) if done.stdout.strip().isdigit() else None


def _readable(path: Path) -> int:
    if path.is_dir() and path.suffix != ".zarr":
        return sum(_readable(file) > 0 for file in path.iterdir())
    reader = {".zarr": _zarr, ".h5": _hdf5, **dict.fromkeys(STACKS, _tiff)}.get(path.suffix, _video)
    count = 0
    with contextlib.suppress(Exception):  # what comes then cannot be read
        for read in reader(path):
            with contextlib.suppress(Exception):
                read()
                count += 1
    return count


def _video(path: Path) -> Iterator[Callable[[], Any]]:
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.video[0]):
            with contextlib.suppress(av.FFmpegError):
                yield from (frame.to_ndarray for frame in packet.decode())


def _tiff(path: Path) -> Iterator[Callable[[], Any]]:
    with tifffile.TiffFile(path) as file:  # the list may break off
        for page in file.pages:
            if not page.subfiletype & 1:  # no small copy
                yield page.asarray


def _zarr(path: Path) -> Iterator[Callable[[], Any]]:
    import zarr

    array: Any = zarr.open_group(path, mode="r")["0"]
    yield from (lambda index=index: array[index] for index in range(array.shape[0]))


def _hdf5(path: Path) -> Iterator[Callable[[], Any]]:
    import h5py

    with h5py.File(path) as file:
        array: Any = file["movie"]
        yield from (lambda index=index: array[index] for index in range(array.shape[0]))


# Damage to bytes at random: what disks, networks and strangers do to files.


def damaged(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """The bytes with one or two kinds of damage, and their names."""
    names = [str(name) for name in rng.choice(list(DAMAGE), size=rng.integers(1, 3))]
    found = bytearray(data)
    for name in names:
        if found:
            near = int(rng.integers(min(EDGE, len(found))))  # as often near an end as anywhere
            at = (int(rng.integers(len(found))), near, len(found) - 1 - near)[rng.integers(3)]
            length = int(rng.integers(1, max(2, len(found) // 8)))
            DAMAGE[name](found, at, length, rng)
    return bytes(found), "+".join(names)


def _spliced(data: bytearray, at: int, length: int, rng: np.random.Generator) -> None:
    place = int(rng.integers(len(data)))
    data[place : place + length] = data[at : at + length]


def _set(data: bytearray, at: int, new: bytes) -> None:
    data[at : at + len(new)] = new


DAMAGE: dict[str, Callable[[bytearray, int, int, np.random.Generator], Any]] = {
    "bit": lambda data, at, n, rng: _set(data, at, bytes([data[at] ^ 1 << int(rng.integers(8))])),
    "bytes": lambda data, at, n, rng: _set(data, at, rng.bytes(min(n, 16))),
    "delete": lambda data, at, n, rng: data.__delitem__(slice(at, at + n)),
    "insert": lambda data, at, n, rng: data.__setitem__(slice(at, at), rng.bytes(min(n, 64))),
    "zero": lambda data, at, n, rng: _set(data, at, bytes(n)),
    "splice": _spliced,
    "truncate": lambda data, at, n, rng: data.__delitem__(slice(at, None)),
    "extreme": lambda data, at, n, rng: _set(data, at, EXTREMES[rng.integers(len(EXTREMES))]),
}


# Trials.

Counts = Counter[tuple[str, str]]


def mutants(seeds: list[Seed], room: Path, given: argparse.Namespace) -> Iterator[tuple[str, str]]:
    for number in range(given.first, given.first + given.mutants):
        if time.monotonic() > given.until:
            print(f"mutants: go on with --seed {given.seed} --first {number}")
            return
        rng = np.random.default_rng((given.seed, number))
        seed = seeds[number % len(seeds)]
        folder, path = _to_damage(seed, room, rng)
        data, how = damaged(path.read_bytes(), rng)
        path.write_bytes(data)
        kind = judged(seed, folder, ONCE if number % 4 == 0 else TELL)
        yield seed.kind, kind
        if kind not in GOOD:
            at = Path(tempfile.gettempdir()) / f"torture-{given.seed}-{number}"
            print(f"{kind}: mutant {number} of {seed.name} ({how}), {at}", file=sys.stderr)
            shutil.copytree(folder, at, dirs_exist_ok=True)


def _to_damage(seed: Seed, room: Path, rng: np.random.Generator) -> tuple[Path, Path]:
    """A copy of a seed, and the file of it to damage."""
    folder = copied(room / seed.name, room.parent / "work")
    files = sorted(p for p in folder.glob(seed.harmed or seed.source) if p.is_file())
    return folder, files[int(rng.integers(len(files)))]


def copied(whole: Path, work: Path) -> Path:
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(whole, work)
    return work


def judged(seed: Seed, folder: Path, more: tuple[str, ...]) -> str:
    """What the command makes of a damaged seed, in a word."""
    source, out = folder / seed.source, folder / seed.out
    before, listed = digests(source), set(folder.iterdir())
    ended = command(seed.command(more), folder)
    if ended.wrong:
        return ended.wrong
    if digests(source) != before:
        return "input changed"
    if set(folder.iterdir()) - listed - {out, folder / "cache"}:
        return "left behind"
    if ended.code not in (0, 4):
        return "clean error" if ended.refused and not out.exists() else "no error line"
    found, wanted = frames(out), frames(source)
    if not found:
        return "broken"
    if ended.code == 0 and found < (wanted or 0):
        return "its end is not known" if ENDLESS in ended.words else "short, not reported"
    return "done" if ended.code == 0 else "done, damage reported"


def digests(source: Path) -> list[str]:
    files = sorted(source.rglob("*")) if source.is_dir() else [source]
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()]


# Name -> words of the command, its result, what it may leave for the next run, words of that.
TRAINED = "--noise", "gaussian:20", "--method", "blind2sound", "--steps", "3"
JOBS: dict[str, tuple[tuple[str, ...], str, str, tuple[str, ...]]] = {
    "denoise": (("denoise", "in.mp4", "-o", "out.mkv", *ONCE, "--overwrite"), "out.mkv", "", ()),
    "long denoise": (
        ("denoise", "in.mp4", "-o", "out.mkv", *ONCE, "--overwrite"), "out.mkv",
        ".out.mkv.resume", (),
    ),
    "pictures": (("denoise", "in.mp4", "-o", "out/%05d.png", *ONCE, "--overwrite"), "out", "", ()),
    "train": (
        ("train", "in.mp4", "-o", "my.safetensors", *TRAINED), "my.safetensors", "my.run",
        ("train", "--resume", "-o", "my.safetensors"),
    ),
}  # fmt: skip
SIGNALS = signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP


def kills(seeds: list[Seed], room: Path, given: argparse.Namespace) -> Iterator[tuple[str, str]]:
    source = room / "h264.mp4"
    for name, (words, result, left, again) in JOBS.items() if given.kills else ():
        main = AT_ONCE + MAIN if name == "long denoise" else MAIN
        folder = copied(source, room.parent / "work")
        usual = command(words, folder, main=main)
        reference, settled = digests(folder / result), set(folder.iterdir())
        for number in range(given.first, given.first + given.kills):
            if time.monotonic() > given.until:
                print(f"kills of {name}: go on with --seed {given.seed} --first {number}")
                return
            moment = usual.seconds * float(np.random.default_rng((given.seed, 1, number)).random())
            folder = copied(source, room.parent / "work")
            sort = SIGNALS[number % len(SIGNALS)]
            ended = command(words, folder, kill=(sort, moment), main=main)
            kind = "crash" if ended.code < 0 and ended.code != -signal.SIGKILL else (
                ended.wrong if ended.wrong != "crash" else "")  # fmt: skip
            done = (folder / result).is_file()
            if done and digests(folder / result) != reference:
                kind = "broken"
            if not (done and again):  # it was over: another run would refuse to replace it
                half = bool(again) and (folder / left).exists()
                command(again if half else words, folder, main=main)
            if not kind and digests(folder / result) != reference:
                kind = "other result"
            if not kind and {p.name for p in folder.iterdir()} - {p.name for p in settled}:
                kind = "left behind"
            if kind:
                print(f"{kind}: {name} {number}, {sort.name} after {moment:.2f} s: {ended.words}")
            yield name, kind or "the same result"


def main() -> int:
    if sys.argv[1:2] == [COUNT]:
        print(_readable(Path(sys.argv[2])))
        return 0
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mutants", type=int, default=500)
    parser.add_argument("--kills", type=int, default=20, help="of every job")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="mutant and kill to begin with")
    parser.add_argument("--minutes", type=float, default=1e9, help="end then, and say how far")
    given = parser.parse_args()
    given.until = time.monotonic() + 60 * given.minutes
    found: dict[str, Counts] = {}
    with tempfile.TemporaryDirectory(prefix="f2r-torture-") as temporary:
        room = Path(temporary) / "seeds"
        room.mkdir()
        seeds = seeds_in(room)
        for trial in (mutants, kills):
            found[trial.__name__] = Counter(trial(seeds, room, given))
    for title, counts in found.items():
        if counts:
            _print(title, counts)
    return int(any(kind not in GOOD for counts in found.values() for _, kind in counts))


def _print(title: str, counts: Counts) -> None:
    columns = sorted({of for of, _ in counts})
    print(f"\n| {title} | {' | '.join(columns)} | all |\n|---|{'---|' * (len(columns) + 1)}")
    for kind in sorted({kind for _, kind in counts}, key=lambda kind: (kind not in GOOD, kind)):
        row = [counts[(of, kind)] for of in columns]
        print(f"| {kind} | {' | '.join(map(str, row))} | {sum(row)} |")


if __name__ == "__main__":
    sys.exit(main())
