"""Denoise a burst of camera raw from Python, and show its middle exposure before and after.

python examples/denoise_raw_burst.py BURST OUT [LOOK.png]

BURST and OUT are folders; OUT gets DNG files with the names, levels, colours and metadata of those
in BURST. LOOK.png is a quick look at half size, without a camera's colour matrix.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from f2rcli.engine.stream import EngineSettings, denoise_stream, load_engine
from f2rcli.frames import Frame
from f2rcli.io import open_reader, open_writer, plan_output
from f2rcli.yuv import developed, to_rgb


def main(source: str, target: str, look: str | None = None) -> None:
    """Denoise the burst `source` into the folder `target`."""
    with open_reader(source) as reader:
        plan = plan_output(reader, target)
        engine = load_engine(EngineSettings(), reader.info)
        with open_writer(reader, plan) as writer:
            for frame in denoise_stream(iter(reader), reader.info, engine):
                writer.write(frame)
            print(*writer.finish().lines(), sep="\n")
    if look is not None:
        pair = np.concatenate([middle(source), middle(target)], axis=1)
        Path(look).write_bytes(cv2.imencode(".png", pair)[1].tobytes())


def middle(burst: str) -> np.ndarray:
    """The middle exposure as a small picture, (H, W, 3) BGR codes."""
    with open_reader(burst) as reader:
        frames: list[Frame] = list(reader)
    shown = frames[len(frames) // 2]
    picture = developed(to_rgb(shown), shown.layout.mosaic)
    return np.rint(255 * picture[::-1].transpose(1, 2, 0)).astype(np.uint8)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:4])
