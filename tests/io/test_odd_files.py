"""Every odd file goes through reader and writer with nothing lost in silence."""

import json
from pathlib import Path

import pytest

from f2rcli.io import WriteOptions, default_target, open_reader, plan_output
from tests.io.odd_files import CLIPS

SLOW = ("hdr10_tags.mkv", "hevc_10bit.mp4")


@pytest.mark.parametrize("name", sorted(CLIPS))
def test_it_is_described_as_it_is_read_and_comes_through(
    tools, odd, tmp_path: Path, name: str
) -> None:
    source = odd(name)
    target = tmp_path / default_target(source).name
    fast = (("preset", "ultrafast"),) if name in SLOW else ()
    with open_reader(source) as reader:
        streams = reader.describe()
        assert sum(bool(stream.get("denoised")) for stream in streams) == 1
        assert json.dumps(streams)
        assert plan_output(reader, target.with_name(f"not_there{target.suffix}")).summary()
        assert reader.info.notes == tuple(dict.fromkeys(reader.info.notes))
        count = sum(1 for _ in reader)
        assert reader.info.frames in (None, count)
        assert reader.ledger.damaged is (name in ("damaged.ts", "truncated.mkv"))
    frames, receipt = tools.passthrough(source, target, WriteOptions(encoder_options=fast))
    assert receipt.frames == len(frames) == count > 0
    assert receipt.verified
    again = tools.read_all(target)
    assert [t for t, _ in tools.times(again)] == [t for t, _ in tools.times(frames)]
    with open_reader(source) as before, open_reader(target) as after:
        a, b = before.info, after.info
        assert (a.width, a.height, a.interlaced) == (b.width, b.height, b.interlaced)
        assert a.layout.family == b.layout.family
        assert a.layout.log2_chroma == b.layout.log2_chroma
        assert a.layout.alpha == b.layout.alpha
        assert a.layout.full_range == b.layout.full_range
        assert a.layout.bits == b.layout.bits
        assert before.metadata.mastering is None or after.metadata.mastering is not None
        assert before.metadata.display_matrix == after.metadata.display_matrix
        lost = " ".join(receipt.dropped)
        if "pixel aspect" not in lost and before.metadata.pixel_aspect is not None:
            assert (after.metadata.pixel_aspect or 1) == before.metadata.pixel_aspect
        if "colour" not in lost and before.metadata.colour.primaries != 2:
            assert after.metadata.colour.primaries == before.metadata.colour.primaries
