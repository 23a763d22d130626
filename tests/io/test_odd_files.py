"""Every odd file goes through reader and writer with nothing lost in silence."""

from pathlib import Path

import pytest

from f2rcli.io import ReadOptions, WriteOptions, default_target, open_reader, plan_output

VIDEOS = [
    "alpha_prores4444.mov", "alpha_vp9.webm", "anamorphic_pal.mp4", "anim.apng",
    "audio2_subs_chapters.mkv", "audio_movtext_chapters.mp4", "av1.mkv", "damaged.ts",
    "fps_23976.mov", "full_range.mp4", "gray16_ffv1.mkv", "gray_ffv1.mkv", "hdr10_tags.mkv",
    "hevc_10bit.mp4", "interlaced_h264_bff.mkv", "interlaced_mpeg2_tff.mpg", "mjpeg.avi",
    "mpeg4_bframes.avi", "odd_size_181x133.mp4", "odd_size_rgb_ffv1.mkv", "one_frame.mp4",
    "palette.gif", "prores_hq.mov", "raw_stream.h264", "real_chapters.mp4", "real_h264_10bit.mp4",
    "real_hdr10_av1_1080p.mp4", "real_hlg_hevc_1080p.mp4", "real_nasa_multistream.mp4",
    "real_no_sync_table.mp4", "rgb48_ffv1.mkv", "rotated_90.mp4", "start_at_5s.ts",
    "tiny_16x16.mp4", "tiny_6x4.mkv", "truncated.mkv", "two_frames.mp4", "two_video_streams.mkv",
    "vfr.mp4", "vp9_10bit.webm", "yuv422.y4m",
]  # fmt: skip
QUICK = ReadOptions(frames=6)


@pytest.mark.parametrize("name", VIDEOS)
def test_passthrough(tools, odd, tmp_path: Path, name: str) -> None:
    source = odd(name)
    large = "1080p" in name or "nasa" in name or "no_sync" in name
    read = QUICK if large else ReadOptions()
    target = tmp_path / default_target(source).name
    write = WriteOptions(preset="ultrafast") if "hlg" in name else WriteOptions()
    frames, receipt = tools.passthrough(source, target, write, read)
    assert receipt.frames == len(frames) > 0
    assert receipt.verified
    again = tools.read_all(target)
    assert [t for t, _ in tools.times(again)] == [t for t, _ in tools.times(frames)]
    with open_reader(source, read) as before, open_reader(target) as after:
        a, b = before.info, after.info
        assert (a.width, a.height, a.interlaced) == (b.width, b.height, b.interlaced)
        assert a.layout.family == b.layout.family
        assert a.layout.log2_chroma == b.layout.log2_chroma
        assert a.layout.alpha == b.layout.alpha
        assert a.layout.full_range == b.layout.full_range
        assert a.layout.bits == b.layout.bits
        assert before.metadata.facts.mastering is None or after.metadata.facts.mastering is not None
        assert before.metadata.facts.display_matrix == after.metadata.facts.display_matrix
        lost = " ".join(receipt.dropped)
        if "pixel aspect" not in lost and before.metadata.pixel_aspect is not None:
            assert (after.metadata.pixel_aspect or 1) == before.metadata.pixel_aspect
        if "colour" not in lost and before.metadata.colour.primaries != 2:
            assert after.metadata.colour.primaries == before.metadata.colour.primaries


@pytest.mark.parametrize("name", VIDEOS)
def test_what_info_prints(odd, name: str) -> None:
    import json

    with open_reader(odd(name)) as reader:
        streams = reader.describe()
        assert sum(bool(stream.get("denoised")) for stream in streams) == 1
        assert json.dumps(streams)
        plan = plan_output(reader, odd(name).with_name("not_there" + _suffix(name)))
        assert plan.summary()
        assert reader.info.notes == tuple(dict.fromkeys(reader.info.notes))
        count = sum(1 for _ in reader)
        assert reader.info.frames in (None, count)
        assert reader.ledger.damaged is (name in ("damaged.ts", "truncated.mkv"))


def _suffix(name: str) -> str:
    return default_target(name).suffix
