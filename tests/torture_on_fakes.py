"""The torture bench over the fake engine, whole and with faults; what it finds, as JSON.

Run as a script. What the bench judges is how runs end and what they leave, not how good a picture
is, and torch takes seconds to load.
"""

import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from f2rcli.cli import fork_server

TESTS = Path(__file__).parent
BENCH = TESTS.parent / "benchmarks" / "torture"
WHOLE = ("--mutants", "3", "--kills", "1", "--full", "1", "--denied", "1")
WHOLE += ("--jobs", "denoise", "--races", "1")
ONE = ("--mutants", "1", "--kills", "0", "--full", "0", "--denied", "0", "--first")
KILLS = ("--mutants", "0", "--kills", "1", "--full", "0", "--denied", "0", "--jobs", "denoise")
FIRST = ("ffv1.mkv", "h264.mp4", "plain.tif")  # seeds, in the order of mutants
ASKED = {  # fault: arguments of the bench
    "": WHOLE, "bug": (*ONE, "0"), "crash": (*ONE, "1"), "short": (*ONE, "0"),
    "beside": (*ONE, "1"), "harm": (*ONE, "0"), "one noisy": (*ONE, "2"),
    "random": (*KILLS, "--races", "1"), "mess": KILLS,
}  # fmt: skip
NEEDED = [name for name in fork_server.LOADED if not name.startswith("torch")]


def module(name: str, path: Path) -> ModuleType:
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = found = module_from_spec(spec)  # dataclasses look themselves up
    spec.loader.exec_module(found)
    return found


def faulty(fault: str, fake: ModuleType) -> Any:
    """`denoise_stream` of the fake engine with a fault."""

    def denoise_stream(frames: Iterable[Any], info: Any, engine: Any, *begins: Any) -> Any:
        for number, frame in enumerate(fake.denoise_stream(frames, info, engine, *begins)):
            if fault == "bug":
                raise ZeroDivisionError
            if fault == "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            if fault == "short" and number > 3:
                return
            if fault == "random":
                for plane in frame.planes:
                    plane[:] = np.random.default_rng().integers(20, 220, plane.shape)
            yield frame
        if fault in ("beside", "mess"):
            Path(f"beside{os.getpid()}").touch()
        if fault == "harm":
            for source in Path().glob("in.*"):
                source.write_bytes(source.read_bytes() + b"0")

    def noisy_first(frames: Iterable[Any], info: Any, engine: Any, *begins: Any) -> Any:
        frames = list(frames)
        yield frames[0]
        yield from fake.denoise_stream(frames[1:], info, engine, *begins)

    return noisy_first if fault == "one noisy" else denoise_stream


def stand_ins(fake: ModuleType) -> Iterator[tuple[str, ModuleType]]:
    """What the bench would load torch for."""
    yield "f2rcli.engine.stream", fake.module()
    yield "f2rcli.engine.resuming.record", fake.record_module()
    recipe: Any = ModuleType("f2rcli.training.methods.f2r")
    recipe.ADAPT_STEPS = 1
    yield recipe.__name__, recipe
    for name in ("f2rcli.methods.f2r", "f2rcli.training.session", "f2rcli.evaluation.run"):
        yield name, ModuleType(name)


def main() -> None:
    fake = module("fake_engine", TESTS / "cli" / "fake_engine.py")
    sys.modules.update(stand_ins(fake))
    sys.path.insert(0, str(BENCH))
    torture = module("torture", BENCH / "__main__.py")
    for name in NEEDED:  # once, and not in every child
        import_module(name)
    seeds, every = sys.modules["seeds"], torture.jobs
    seeds.VIDEOS = {name: how for name, how in seeds.VIDEOS.items() if name in FIRST}
    seeds.STACKS = {name: how for name, how in seeds.STACKS.items() if name in FIRST}
    torture.jobs = lambda *sources: [job for job in every(*sources) if job.name in ("denoise",)]
    found = {}
    for fault, arguments in ASKED.items():
        if fault:  # files as they are: their damage would hide it
            torture.mutant = lambda data, rng: (data, "whole")
        sys.modules["f2rcli.engine.stream"].denoise_stream = faulty(fault, fake)
        with tempfile.TemporaryDirectory() as folder:
            counts = Path(folder) / "counts.json"
            tempfile.tempdir = folder  # what is not as it should be is kept there
            sys.argv = ["torture", *arguments, "--json", str(counts)]
            code = torture.main()
            tempfile.tempdir = None
            found[fault] = {"code": code} | json.loads(counts.read_text())
    print(json.dumps(found), file=sys.__stdout__)


if __name__ == "__main__":
    main()
