"""Damaged stacks: what is there is read, what is not is told, and nobody else's damage is."""

import threading
from pathlib import Path

import tifffile

from f2rcli.io import open_reader
from tests.io.stacks import movie


def test_damage_of_one_stack_is_not_counted_in_another_that_is_read_beside_it(
    tmp_path: Path,
) -> None:
    sound, cut = tmp_path / "sound.tif", tmp_path / "cut.tif"
    for path in (sound, cut):
        with tifffile.TiffWriter(path) as file:
            for page in movie((8, 16, 16)):
                file.write(page, photometric="minisblack", metadata=None)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 55 // 100])
    done = threading.Event()

    def read_cut() -> None:
        while not done.is_set():
            open_reader(cut).close()

    beside = threading.Thread(target=read_cut)
    beside.start()
    try:
        for _ in range(100):
            with open_reader(sound) as reader:
                assert not reader.ledger.damaged, reader.ledger.damage()
                assert reader.info.frames == 8
    finally:
        done.set()
        beside.join()
