"""Planted faults: which of them the heart's door tests notice.

    python benchmarks/planted.py [--only NAME]

Each row of FAULTS changes one text of one file of the package, in a copy of it, and runs the tests
named beside it against that copy; `noticed` means that one of them failed. The faults are the kinds
that people make: a sign, a border, a unit, a state that is not reset, a plane that is forgotten.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]


class Fault(NamedTuple):
    layer: str
    file: str  # below f2rcli
    text: str  # occurs once
    fault: str
    tests: str  # below tests


STREAM, PICTURE = "engine/test_stream.py", "engine/test_picture.py"
FAULTS = {
    "a cut joins": Fault("engine", "engine/window_loop.py",
        "after.fresh and same_shot(before.look, after.look)", "after.fresh", STREAM),
    "bottom field is the top": Fault("engine", "engine/worker.py", "[parity::2]", "[0::2]",
        STREAM),
    "threads stay lent": Fault("engine", "engine/device.py",
        "        cv2.setNumThreads(_Lent.before[1])", "        pass", "engine/test_bugs.py"),
    "nothing is held": Fault("contract", "engine/contract/residual.py",
        "stays = limit_to_noise(free, variance, terms.band_shares(kind))", "stays = free",
        "fidelity"),
    "all is held": Fault("contract", "engine/contract/residual.py",
        "stays = limit_to_noise(free, variance, terms.band_shares(kind))", "stays = 0 * free",
        PICTURE),
    "means drift": Fault("contract", "engine/engine.py",
        "known = with_means_kept(source, known)", "pass", "engine/test_lanes.py"),
    "rows of the scene": Fault("noise", "noise/rows.py",
        "told and _white([both]) and not _of_light(both, _levels(mean))", "told",
        "engine/test_lines.py"),
    "rows with a wrong sign": Fault("noise", "engine/rows.py",
        "change * np.float32(-self.share)", "change * np.float32(self.share)",
        "engine/test_lines.py"),
    "half of sigma": Fault("noise", "noise/estimate.py",
        "curve = np.sqrt(np.interp(", "curve = 0.5 * np.sqrt(np.interp(", STREAM),
    "gain without its zero": Fault("noise", "noise/photons/line.py",
        "return self.middle - self.level / self.gain", "return 0.0", "noise/test_photons.py"),
    "stars are defects": Fault("samples", "samples/lasting.py", "SEEN = 0.1 ", "SEEN = 0.6 ",
        "test_lanes.py"),
    "defects are not put back": Fault("samples", "samples/defects.py",
        "planes[index].flat[kept.places] = kept.samples", "pass", "engine/test_set_aside.py"),
}  # fmt: skip


def noticed(fault: Fault) -> str:
    """Whether the tests fail on a copy of the package with this fault."""
    source = (ROOT / "f2rcli" / fault.file).read_text(encoding="utf-8")
    if source.count(fault.text) < 1:
        return "text not found"
    with TemporaryDirectory() as folder:
        for name in ("f2rcli", "tests", "benchmarks", "examples", "weights", "pyproject.toml"):
            whole = ROOT / name
            if whole.is_dir() and name != "f2rcli":
                (Path(folder) / name).symlink_to(whole)
            elif whole.is_dir():
                shutil.copytree(whole, Path(folder) / name)
            else:
                shutil.copy(whole, folder)
        target = Path(folder) / "f2rcli" / fault.file
        target.write_text(source.replace(fault.text, fault.fault, 1), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
             f"tests/{fault.tests}"],
            cwd=folder, env={**os.environ, "PYTHONPATH": folder}, capture_output=True, text=True,
        )  # fmt: skip
    return {0: "**not noticed**", 1: "noticed"}.get(done.returncode, f"code {done.returncode}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="faults whose name contains this")
    given = parser.parse_args()
    print("| layer | fault | tests | |\n|---|---|---|---|")
    for name, fault in FAULTS.items():
        if given.only in name:
            print(f"| {fault.layer} | {name} | {fault.tests} | {noticed(fault)} |", flush=True)


if __name__ == "__main__":
    main()
