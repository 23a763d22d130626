"""Peak memory does not depend on the clip's length."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import gc, resource, sys
gc.disable()  # pictures that held themselves made a run of 250 of 1080p a gigabyte larger
from f2rcli.io import WriteOptions, open_reader, open_writer, plan_output
quick = WriteOptions(encoder_options=(("preset", "ultrafast"),))
for source in sys.argv[1:]:
    with open_reader(source) as reader:
        plan = plan_output(reader, source.replace("in", "out"), quick)
        with open_writer(reader, plan) as writer:
            for frame in reader:
                writer.write(frame)
            writer.finish()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_memory_is_flat_in_the_length_of_the_clip(tools, tmp_path: Path, suffix: str) -> None:
    names = [f"in{count}{suffix}" for count in (40, 300)]
    for name, count in zip(names, (40, 300), strict=True):
        tools.film(
            tmp_path / name, pts=count, size=(320, 180), audio=True, options={"preset": "ultrafast"}
        )
    command = [sys.executable, "-c", SCRIPT, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    short, long = map(int, done.stdout.split())
    assert long < short * 1.1 + 8000, (short, long)  # kB; 300 frames are 26 MB of samples
