"""Denoise a video from Python: the same parts the command line uses, frame by frame.

python examples/denoise_video.py INPUT OUTPUT
"""

import sys

from rich.progress import track

from f2rcli.engine.stream import EngineSettings, denoise_stream, load_engine
from f2rcli.io import WriteOptions, open_reader, open_writer, plan_output


def main(source: str, target: str) -> None:
    """Denoise `source` into `target`, holding a handful of frames at a time."""
    with open_reader(source) as reader:
        plan = plan_output(reader, target, WriteOptions())
        engine = load_engine(EngineSettings(), reader.info)
        with open_writer(reader, plan) as writer:
            frames = denoise_stream(iter(reader), reader.info, engine)
            for frame in track(frames, "denoising", total=reader.info.frames):
                writer.write(frame)
            print(*writer.finish().lines(), sep="\n")
    if engine.found.noise is not None:
        print("sigma", ", ".join(f"{sigma:.1f}" for sigma in engine.found.noise.sigma8))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:3])
