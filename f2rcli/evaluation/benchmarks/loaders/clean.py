"""Clean clips to which a protocol adds noise: sequences, still pictures, or clips of a list."""

from pathlib import Path

import numpy as np

from f2rcli.errors import InputError
from f2rcli.evaluation.base import Case
from f2rcli.evaluation.benchmarks.benchmark import Benchmark
from f2rcli.evaluation.clips.datasets import file_facts, sequences, single_pictures
from f2rcli.evaluation.clips.pairing import Clips, File
from f2rcli.frames import Space
from f2rcli.io import ReadOptions, open_reader


def cases(benchmark: Benchmark, root: Path, frames: int | None) -> list[Case]:
    """A case for each clip, without noise."""
    options = ReadOptions(frames=frames)
    return [
        Case(name=name, reference=File(path, options), files=(file_facts("clean", path),))
        for name, path in find(benchmark, root).items()
    ]


def find(benchmark: Benchmark, root: Path) -> Clips:
    """The clips below a root, if any. Raises InputError for missing files and wrong colours."""
    layout = benchmark.layout
    if "list" in layout:
        return _listed(benchmark, root)
    listing = single_pictures if layout.get("stills") else sequences
    found = [clips for folder in _folders(benchmark, root) if (clips := listing(folder))]
    together = found if layout.get("together") else found[:1]
    clips = {name: path for each in together for name, path in each.items()}
    if layout.get("gray"):
        _check_gray(benchmark, clips)
    return _chosen(benchmark, dict(sorted(clips.items())))


def _folders(benchmark: Benchmark, root: Path) -> list[Path]:
    folders = []
    for pattern in benchmark.layout["folders"]:
        folders += [root] if pattern == "." else sorted(root.glob(pattern))
    return [folder for folder in folders if folder.is_dir()]


def _chosen(benchmark: Benchmark, clips: Clips) -> Clips:
    """The clips of the benchmark among those found."""
    prefix = benchmark.layout.get("prefix", "")
    named = {n.removeprefix(prefix): p for n, p in clips.items() if n.startswith(prefix)} or clips
    if isinstance(benchmark.clips, int):
        return named
    wanted = {name: path for name, path in named.items() if name in benchmark.clips}
    whole = len(wanted) == len(benchmark.clips)
    return named if benchmark.layout.get("others") and not whole else wanted


def _listed(benchmark: Benchmark, root: Path) -> Clips:
    """The clips of a list, so many of them as the benchmark has, drawn with a fixed seed."""
    layout = benchmark.layout
    base = next((b for b in _folders(benchmark, root) if (b / "sequences").is_dir()), None)
    if base is None:
        raise benchmark.wrong(root, "has no folder sequences")
    if not (base / layout["list"]).is_file():
        raise benchmark.wrong(root, f"has no {layout['list']}")
    lines = (base / layout["list"]).read_text("utf-8").splitlines()
    names = [line.strip() for line in lines if line.strip()]
    if isinstance(benchmark.clips, int) and len(names) > benchmark.clips:
        drawn = np.random.default_rng(0).permutation(len(names))[: benchmark.clips]
        names = [names[i] for i in drawn]
    for name in names:
        for number in range(1, (benchmark.frames or 0) + 1):
            frame = layout["frame"].format(number)
            if not (base / "sequences" / name / frame).is_file():
                raise benchmark.wrong(root, f"sequences/{name} has no {frame}")
    return {name: base / "sequences" / name for name in sorted(names)}


def _check_gray(benchmark: Benchmark, clips: Clips) -> None:
    for path in clips.values():
        with open_reader(path) as reader:
            if reader.info.space is not Space.GRAY:
                raise InputError(
                    f"{path}: is in colour; {benchmark.name.upper()} is gray.",
                    hint="Name the folder of gray ones.",
                )
