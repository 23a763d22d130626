"""Many clips: what they are, where they go, what is done already, and who denoises them.

Folders are mirrored, inputs never written. A folder that some format reads as a whole (numbered
pictures, a burst) is one clip, unless it holds photographs; any other is a folder of clips.
"""

import hashlib
import importlib
import json
import os
import re
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from itertools import pairwise
from multiprocessing import active_children, connection, get_context, parent_process
from pathlib import Path, PurePath
from typing import Any

from f2rcli import errors
from f2rcli.errors import F2RError, InputError, OutputError, UsageError
from f2rcli.frames import Singles
from f2rcli.io import is_clip, open_reader, unmarked_name
from f2rcli.io.files import disk_errors, same_file, write_text
from f2rcli.io.formats import PICTURES, RAW, READABLE, STACKS, UNREAD
from f2rcli.io.numbering import files_of, is_pattern, natural_key, results_in, tell_results
from f2rcli.settings import read_table
from f2rcli.units import count
from f2rcli.window import look_of, same_shot

Look = tuple[tuple[int, int], Singles]


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip to denoise."""

    source: str  # absolute, as are targets: workers may run elsewhere
    target: str
    place: str  # of the target, below the output folder


def clips_in(folder: Path, *, recursive: bool = False) -> list[Path]:
    """The clips of a folder, in order of their names, and of those below it if asked for."""
    return [path for path, _ in _below(folder, PurePath(), set(), [], recursive=recursive)]


PAIRS = 5  # of a folder's pictures that are looked at: most frames of a clip are not a pan's


def is_one_clip(folder: Path) -> bool:
    """Whether a folder is one clip, and not one of photographs. Raises OSError."""
    if not is_clip(folder) or any(files_of(folder, RAW | STACKS)):
        return is_clip(folder)
    return _of_one_scene(files_of(folder, PICTURES))


def _of_one_scene(pictures: Iterable[Path]) -> bool:
    """Whether most pictures, of those that can be read, show what the next one shows."""
    pairs = [*pairwise(sorted(pictures, key=natural_key))]
    some = pairs[:: -(-len(pairs) // PAIRS) or 1]
    looks = ([_look(one, one.stat().st_mtime_ns) for one in pair] for pair in some)
    known = [(one, other) for one, other in looks if one and other]
    told = [one[0] == other[0] and same_shot(one[1], other[1]) for one, other in known]
    return 2 * sum(told) >= len(told)


@lru_cache(64)  # pairs may share one, and a folder is asked for its clips again
def _look(path: Path, changed: int) -> Look | None:
    """Height and width of a picture, last changed then, and what it shows; None: nobody knows."""
    with suppress(F2RError), open_reader(str(path)) as reader:
        for frame in reader:
            return frame.planes[0].shape, look_of(frame)
    return None


def find_clips(
    sources: Sequence[str], output: Path, codec: str | None = None, *, recursive: bool = False
) -> tuple[list[Clip], list[str]]:
    """The clips of all sources, in a stable order, each with its target below `output`, and remarks
    on what was left out. Files keep their names, folders mirror their trees, several sources below
    their own names.

    Raises UsageError for targets that meet each other or an input, InputError for no clips, and
    OutputError for an output that is a file.
    """
    _check_output(output, sources)
    remarks, places = list[str](), list[tuple[Path, PurePath]]()
    seen = {output.resolve()}
    for source in sources:
        path = Path(source)
        if source == "-" or (is_pattern(source) and not path.exists()):
            what = f"{source}: one of several inputs must be a file or a folder."
            raise UsageError(what, hint="Denoise it in a run of its own.")
        name = PurePath(path.resolve().name)
        if not path.is_dir() or is_one_clip(path):
            places.append((path, name))
            continue
        root = name if len(sources) > 1 else PurePath()
        below = list(_below(path, root, seen, remarks, recursive=recursive))
        places += sorted(below, key=lambda one: [natural_key(Path(p)) for p in one[1].parts])
    if not places:
        what = f"{', '.join(sources)}: no clips found."
        raise InputError(what, hint="--recursive includes subfolders.")
    return _placed(places, output, codec), remarks


def _below(
    folder: Path, place: PurePath, seen: set[Path], remarks: list[str], *, recursive: bool
) -> Iterator[tuple[Path, PurePath]]:
    """The clips of a folder and their places; every folder once, whatever links lead to it."""
    if folder.resolve() in seen:
        return
    seen.add(folder.resolve())
    results = results_in(folder)
    remarks += (f"{folder}: {note}" for note in tell_results(results))
    visible = (p for p in folder.iterdir() if p.name[0] != "." and p.name not in results)
    paths = sorted(visible, key=natural_key)
    files = [path for path in paths if not path.is_dir() or path.suffix.lower() == ".zarr"]
    whole = [path for path in files if path.is_file() or path.is_dir()]  # a pipe never ends
    clips = [path for path in whole if path.suffix.lower() in READABLE]
    clips = clips or [path for path in files if path.suffix.lower() in UNREAD]  # refused by name
    loose = [path for path in clips if path.suffix.lower() in PICTURES]
    if others := {*files} - {*clips}:
        kinds = sorted({path.suffix.lower() or "no suffix" for path in others})
        told = ", ".join(kinds if len(kinds) < 8 else [*kinds[:6], "..."])
        remarks.append(f"{folder}: {count(len(others), 'file')} of other kinds left out ({told})")
    apart = "put them into a folder of their own to make them"
    if len(loose) < len(clips) and loose and _of_one_scene(loose):
        told = f"{count(len(loose), 'picture')} beside other clips left out"
        remarks.append(f"{folder}: {told}; {apart} a clip")
        clips = [path for path in clips if path not in loose]
    if clips and is_clip(folder):
        told = f"{count(len(clips), 'picture')} of different scenes, denoised one by one"
        remarks.append(f"{folder}: {told}; a pattern such as %04d.png makes one clip of them")
    if (shots := sum(path.suffix.lower() in RAW for path in clips)) > 1:  # beside a film
        told = f"each of {shots} raw files is denoised by itself"
        remarks.append(f"{folder}: {told}; {apart} a burst")
    yield from ((path, place / path.name) for path in clips)
    folders = [path for path in paths if path.is_dir() and path not in clips]
    closed = []
    for path in sorted(folders, key=Path.is_symlink):  # a link never stands for its folder
        try:
            if is_one_clip(path):
                yield path, place / path.name
            elif recursive:
                yield from _below(path, place / path.name, seen, remarks, recursive=True)
            elif path.resolve() not in seen:
                closed.append(path.name)
        except OSError as error:
            remarks.append(f"{path}: cannot be read: {error.strerror or error}; left out")
    if closed:
        first = closed[0] + ", ..." * (len(closed) > 1)
        told = f"{count(len(closed), 'folder')} in it left out ({first}); --recursive includes them"
        remarks.append(f"{folder}: {told}")


def _check_output(output: Path, sources: Sequence[str]) -> None:
    need, hint = "several clips need a folder.", "Name a folder with -o."
    if output.exists() and not output.is_dir():
        raise OutputError(f"{output}: is a file; {need}", hint=hint)
    if not output.exists() and output.suffix.lower() in READABLE:
        raise UsageError(f"{output}: is named like one clip; {need}", hint=hint)
    there = output.resolve()
    for source in (Path(source) for source in sources if Path(source).is_dir()):
        if there.is_relative_to(source.resolve()):
            what = f"{output}: lies in the input folder {source.resolve().name or source}."
            hint = "Name a folder outside of it with -o; inputs are never written."
            raise UsageError(what, hint=hint)


def _placed(places: Sequence[tuple[Path, PurePath]], output: Path, codec: str | None) -> list[Clip]:
    """The clips; one that was named twice is one."""
    placed: dict[Path, Clip] = {}
    for source, place in places:
        place = place.with_name(unmarked_name(source, codec))
        clip = Clip(os.path.abspath(source), os.path.abspath(output / place), place.as_posix())
        other = placed.setdefault(output / place, clip)
        if other.source != clip.source:
            what = f"{other.source} and {source}: both would be written to {output / place}."
            raise UsageError(what, hint="Rename one, or run them into two folders.")
        if any(same_file(one, output / place) for one, _ in places):
            what = f"{output / place}: the output of {source} is an input itself."
            raise UsageError(what, hint="Name another folder with -o; inputs are never written.")
    return list(placed.values())


# --- Records: what came of each clip, remembered beside the results ------------------------------


FOLDER = ".f2r"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Clip):
    status: str  # done, damaged, skipped, failed, not run
    reason: str = ""  # of a failure, in one line
    hint: str = ""
    exit_code: int = errors.EXIT_OK
    frames: int | None = None
    seconds: float = 0.0  # of wall clock
    bytes: int | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, clip: Clip, status: str, **facts: Any) -> "Outcome":
        return cls(clip.source, clip.target, clip.place, status=status, **facts)


def failure(clip: Clip, reason: str, hint: str = "", code: int = errors.EXIT_FAILURE) -> Outcome:
    return Outcome.of(clip, "failed", reason=reason, hint=hint, exit_code=code)


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """Of a batch: 5 if any clip failed, 4 if any result carries damage, else 0."""
    if any(outcome.status == "failed" for outcome in outcomes):
        return errors.EXIT_BATCH
    damaged = any(one.exit_code == errors.EXIT_DAMAGED for one in outcomes)
    return errors.EXIT_DAMAGED if damaged else errors.EXIT_OK


def summary(outcomes: Sequence[Outcome]) -> str:
    """The batch in one line: `3 clips: 2 done, 1 failed`."""
    counts = Counter(outcome.status for outcome in outcomes)
    return ", ".join(f"{number} {status}" for status, number in sorted(counts.items())) or "none"


@dataclass(frozen=True, slots=True)
class Records:
    """The records of an output folder, a file for each clip; settings: a hash of what changes a
    result.

    One is written before a clip is begun and again when it is finished. Targets appear by a rename,
    whole or not at all: so a killed batch knows which results are whole, and goes on.
    """

    output: str
    settings: str

    def prepare(self) -> None:
        """Make the folder. Raises OutputError where nothing can be written."""
        with disk_errors(Path(self.output), "choose another folder with -o"):
            self._folder.mkdir(parents=True, exist_ok=True)
            write_text(self._folder / "writable", "")
            (self._folder / "writable").unlink(missing_ok=True)

    def settled(self, clip: Clip, *, overwrite: bool) -> Outcome | None:
        """The outcome of a clip that needs no run: done before, or its target is in the way."""
        if not os.path.lexists(clip.source):
            what = f"{Path(clip.source).name}: there is no such file."
            return failure(clip, what, "Check the path.", errors.EXIT_INPUT)
        if not os.path.lexists(clip.target):
            return None
        known = read_table(self._path(clip))
        facts, made = known.get("outcome", {}), known.get("target")
        same = known.get("settings") == self.settings and known.get("source") == _stamp(clip.source)
        whole = made == _stamp(clip.target) if made else known.get("fresh") is True
        if same and whole and isinstance(facts, dict):
            kept = {name: facts[name] for name in ("frames", "bytes", "exit_code") if name in facts}
            return Outcome.of(clip, "skipped", **kept)
        if overwrite:
            return None
        why = "already exists, made from another clip, with other settings, or changed since"
        why = why if known else "already exists, and no record says that f2r finished it"
        hint = "Pass --overwrite, or another folder with -o."
        return failure(clip, f"{Path(clip.target).name}: {why}.", hint)

    def begin(self, clip: Clip) -> None:
        """Remember that a clip is begun. Raises OutputError."""
        with disk_errors(Path(clip.target)):
            Path(clip.target).parent.mkdir(parents=True, exist_ok=True)
            self._write(clip, {"fresh": not os.path.lexists(clip.target)})

    def finish(self, clip: Clip, outcome: Outcome) -> None:
        """Remember an outcome; a failed clip counts as never begun. Raises OSError."""
        if outcome.status == "failed":
            return self._path(clip).unlink(missing_ok=True)
        facts = asdict(replace(outcome, warnings=()))
        return self._write(clip, {"target": _stamp(clip.target), "outcome": facts})

    def report(self, outcomes: Sequence[Outcome], facts: dict[str, Any], name: str) -> str:
        """Write all outcomes as JSON, whole or not at all; returns where, or why not."""
        table, path = {**facts, "clips": [asdict(one) for one in outcomes]}, self._folder / name
        try:
            write_text(path, json.dumps(table, indent=1) + "\n")
        except OSError as error:
            return f"none ({error.strerror or error})"
        return str(path)

    @property
    def _folder(self) -> Path:
        return Path(self.output) / FOLDER

    def _path(self, clip: Clip) -> Path:
        return self._folder / f"{hashlib.sha256(os.fsencode(clip.place)).hexdigest()[:32]}.json"

    def _write(self, clip: Clip, facts: dict[str, Any]) -> None:
        same = {"place": clip.place, "settings": self.settings, "source": _stamp(clip.source)}
        write_text(self._path(clip), json.dumps(same | facts))


def _stamp(path: str) -> str:
    """Changes whenever a file, or any file of a folder, is written; "" where there is nothing."""
    whole = Path(path)
    files = sorted(whole.rglob("*")) if whole.is_dir() else [whole]
    try:
        facts = [(one.name, one.stat().st_size, one.stat().st_mtime_ns) for one in files]
    except OSError:
        return ""
    return hashlib.sha256(ascii(facts).encode()).hexdigest()


# --- Who denoises: this process, several here, or the workers of a Dask cluster ------------------


Work = Callable[[Clip], Outcome]  # picklable; raises nothing for what is wrong with one clip
TIMEOUT = 10  # seconds to reach a scheduler, and for a process's clean-up
DIED = "its process ended without a word; perhaps memory ran out."


def _done(executor: Executor, clips: Sequence[Clip], work: Work) -> Iterator[Outcome]:
    """The outcomes as they come. A clip whose worker died is tried again at the end, alone: memory
    may have run out, and Dask blames all that waited on a dying worker."""
    clip_of = {executor.submit(work, clip): clip for clip in clips}
    lost = list[Clip]()
    for future in as_completed(clip_of):
        if future.exception() is None:
            yield future.result()
        else:
            lost.append(clip_of[future])
    for clip in lost:
        error = (future := executor.submit(work, clip)).exception()
        why = " ".join(str(error).split())
        yield future.result() if error is None else failure(clip, why, "Run it again.")


def run_in_processes(clips: Sequence[Clip], work: Work, jobs: int) -> Iterator[Outcome]:
    """Several at a time, in a process each: what takes one down leaves the others be."""
    pool = partial(ProcessPoolExecutor, 1, get_context("spawn"), _begin_worker)
    pools = defaultdict[int, ProcessPoolExecutor](pool)  # by the thread that waits for each

    def apart(clip: Clip) -> Outcome:
        try:
            return pools[threading.get_ident()].submit(work, clip).result()
        except BrokenProcessPool as error:
            del pools[threading.get_ident()]
            raise ChildProcessError(DIED) from error

    threads = ThreadPoolExecutor(jobs)
    try:
        yield from _done(threads, clips, apart)
    except BaseException:
        threads.shutdown(wait=False, cancel_futures=True)
        for one in [*pools.values()]:
            one.shutdown(wait=False)
        while living := active_children():  # Python drops what is raised in an object's clean-up
            for process in living:
                process.terminate()  # which cleans up
            for process in living:
                process.join(TIMEOUT)
        raise
    finally:
        threads.shutdown()
        for one in pools.values():
            one.shutdown()


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the parent
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(errors.EXIT_TERMINATED))
    threading.Thread(target=_watch_parent, name="parent", daemon=True).start()


def _watch_parent() -> None:
    """End this process, as SIGTERM does, once its parent is gone, even where that was killed."""
    parent = parent_process()
    while parent is not None:  # the first ends a clip alone: then a pool's process awaits another
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(TIMEOUT)


def run_on_dask(clips: Sequence[Clip], work: Work, address: str) -> Iterator[Outcome]:
    """On a cluster, whose workers have f2r and see the same folders under the same paths.

    address: see `dask_library`. Dask trusts whoever can reach its scheduler: use it in networks
    that you trust. Raises UsageError where no scheduler answers.
    """
    distributed = dask_library(address)
    how = {"scheduler_file" if os.path.isfile(address) else "address": address}
    try:
        client = distributed.Client(timeout=TIMEOUT, **how)
    except (OSError, TimeoutError, ValueError, KeyError) as error:
        what = f"jobs={address!r}: no scheduler answers there."
        raise UsageError(what, hint="Start one with: dask scheduler") from error
    with client:
        # pure=False: a key of its own for every call, or Dask would give an old result
        yield from _done(client.get_executor(pure=False), clips, work)


def dask_library(address: str) -> Any:
    """Dask's package for a cluster: tcp://HOST:PORT of a scheduler, or its scheduler file. Raises
    UsageError without it, or for anything else."""
    if not re.fullmatch(r"(tcp|tls)://.+:\d+", address) and not os.path.isfile(address):
        what = f"jobs={address!r}: neither a number nor a cluster."
        hint = "Write 4 for four processes; for Dask tcp://HOST:PORT, or its scheduler file."
        raise UsageError(what, hint=hint)
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        hint = "Install it: pip install distributed."
        raise UsageError(f"jobs={address!r}: Dask is not installed.", hint=hint) from error
