"""No encoder leaves this process under real-time scheduling."""

import os
from pathlib import Path

import av
import pytest

from f2rcli.io import WriteOptions, open_reader, open_writer, plan_output

EXAMPLE = Path(__file__).parents[2] / "examples" / "noisy_path.mp4"


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="Linux only")
@pytest.mark.skipif("libsvtav1" not in av.codecs_available, reason="no SVT-AV1 here")
def test_av1_is_written_under_the_scheduling_there_was(tmp_path: Path) -> None:
    before = os.sched_getscheduler(0)
    with open_reader(EXAMPLE) as reader:
        plan = plan_output(
            reader,
            tmp_path / "out.mp4",
            WriteOptions(codec="av1", encoder_options=(("preset", "12"),)),
        )
        assert os.sched_getscheduler(0) == before
        with open_writer(reader, plan) as writer:
            for frame in reader:
                writer.write(frame)
                policies = {os.sched_getscheduler(int(t)) for t in os.listdir("/proc/self/task")}
                assert policies == {before}
            writer.finish()
