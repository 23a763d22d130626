"""The same input and settings give the same bytes."""

from hashlib import sha256
from pathlib import Path

import av
import numpy as np
import pytest

from f2rcli.io import ReadOptions, WriteOptions, open_reader, plan_output
from f2rcli.system import x264_assembly
from tests.io.through import copied

FILES = Path(__file__).parent / "files"
EXAMPLE = Path(__file__).parents[2] / "examples" / "noisy_path.mp4"


def written(
    target: Path, options: WriteOptions, reading: ReadOptions = ReadOptions(frames=8)
) -> bytes:
    with open_reader(EXAMPLE, reading) as reader:
        copied(reader, target, options)
    data = target.read_bytes()
    target.unlink()
    return data


def test_theora_is_read_as_one_thread_decodes_it() -> None:
    """On several threads FFmpeg 8.1 leaves other blocks black each time."""
    with av.open(str(FILES / "path.ogv")) as container:
        container.streams.video[0].thread_type = "NONE"
        alone = [frame.to_ndarray().ravel() for frame in container.decode(video=0)]
    for _ in range(16):
        with open_reader(FILES / "path.ogv") as reader:
            read = [np.concatenate([p.ravel() for p in frame.planes]) for frame in reader]
        assert np.array_equal(read, alone)


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_x264_and_containers_write_the_same_bytes_each_time(tmp_path: Path, name: str) -> None:
    first, *others = (written(tmp_path / name, WriteOptions()) for _ in range(4))
    assert all(other == first for other in others)


def test_x264_writes_fields_the_same_each_time(tmp_path: Path) -> None:
    """On several threads it does not."""
    fields = ReadOptions(frames=12, fields="on")
    digests = {
        sha256(written(tmp_path / "out.mkv", WriteOptions(), fields)).hexdigest() for _ in range(4)
    }
    assert len(digests) == 1


@pytest.mark.skipif(not x264_assembly(), reason="x264 has other code for other processors")
def test_x264_runs_no_code_that_reads_what_it_has_not_written(tmp_path: Path) -> None:
    """Its AVX-512 code does; the code for older processors agrees with itself."""
    plain = WriteOptions(encoder_options=(("x264-params", "asm=SSE4.2"),))
    target = tmp_path / "out.mp4"
    assert written(target, WriteOptions()) == written(target, plain)


def test_users_may_choose_x264s_code_themselves() -> None:
    with open_reader(EXAMPLE) as reader:
        own = WriteOptions(encoder_options=(("x264-params", "asm=auto"),))
        options = dict(plan_output(reader, "out.mp4", own).options)
    assert options["x264-params"].endswith("asm=auto")
    assert options["x264-params"].startswith(x264_assembly())
