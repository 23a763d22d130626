"""Peak memory does not depend on the clip's length."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import resource, sys
from f2rcli.io import open_reader, open_writer, plan_output
with open_reader(sys.argv[1]) as reader:
    with open_writer(reader, plan_output(reader, sys.argv[2])) as writer:
        for frame in reader:
            writer.write(frame)
        writer.finish()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_memory_is_flat_in_the_length_of_the_clip(tools, tmp_path: Path, suffix: str) -> None:
    peaks = []
    for count in (60, 600):
        source = tools.write_clip(
            tmp_path / f"in{count}{suffix}", codec="libx264", pts=count, smooth=True,
            size=(320, 180), audio=True, options={"preset": "ultrafast"},
        )  # fmt: skip
        run = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(source), str(tmp_path / f"out{count}{suffix}")],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        peaks.append(int(run.stdout))
    assert peaks[1] < peaks[0] * 1.15 + 8000, peaks  # kB; 600 frames are 52 MB of samples
