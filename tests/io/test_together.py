"""Clips read at the same time know nothing of each other's damage."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import pytest

from f2rcli.io import open_reader


def damaged(source: Path, target: Path) -> Path:
    """A copy of a lossless clip with two of its packets damaged."""
    with av.open(str(source)) as clip:
        packets = [bytes(packet) for packet in clip.demux(video=0) if packet.size]
    data = bytearray(source.read_bytes())
    for number in (5, 7):
        middle = data.index(packets[number]) + len(packets[number]) // 2
        data[middle : middle + 40] = bytes(byte ^ 0xFF for byte in data[middle : middle + 40])
    target.write_bytes(data)
    return target


@pytest.fixture
def pair(tools, tmp_path: Path) -> tuple[Path, Path]:
    lossless = {"level": "3", "slicecrc": "1"}
    sound = tools.write_clip(tmp_path / "sound.mkv", size=(128, 96), pts=12, options=lossless)
    return sound, damaged(sound, tmp_path / "bad.mkv")


def test_damage_of_one_clip_is_not_counted_in_another_read_in_step(pair) -> None:
    with open_reader(pair[0]) as sound, open_reader(pair[1]) as bad:
        assert sum(1 for _ in zip(bad, sound, strict=True)) == 12
        assert sound.ledger.lines() == []
        assert bad.ledger.damaged


def test_nor_in_one_read_in_another_thread(pair) -> None:
    def told(source: Path) -> list[str]:
        with open_reader(source) as reader:
            for _ in reader:
                pass
            return reader.ledger.lines()

    alone = told(pair[1])
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(told, [*pair] * 15))
    assert found[::2] == [[]] * 15
    assert found[1::2] == [alone] * 15
