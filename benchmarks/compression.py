"""What f2r makes of clean clips that a codec compressed: no noise but the codec's own errors.

    python benchmarks/compression.py CLIPS [--codecs x264-23 mpeg4-10 ...] [--frames 7]
        [--size 320x192] [--model full|lite]

CLIPS is a folder of clean clips (MKV). The middle of each is encoded as 4:2:0 with B-frames and
all that the encoder does by default, decoded and denoised with default settings. Printed for each
codec: PSNR of luma before, sigma as f2r tells it, and how much luma, Cb and Cr gain, as the mean
over clips and the least of any, in dB. A clip that shows block edges before it is encoded has been
compressed before: its own truth holds errors, so it is left out of `least`.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # clips are written by the tests

from f2rcli.engine.stream import Engine, EngineSettings, denoise_stream, load_engine
from f2rcli.io import open_reader
from f2rcli.io.video.encoders import ordinary_scheduling
from f2rcli.noise.coding import find_edges
from tests.fidelity import footage
from tests.fidelity.footage import Clip

QUIET = {"libx264": {"x264-params": "log-level=none"}, "libx265": {"x265-params": "log-level=none"}}


class Codec(NamedTuple):
    """An encoder at one quality; two of them: the second is given what the first left."""

    encoder: str
    options: dict[str, str]
    before: "Codec | None" = None


def fixed(quantiser: int) -> dict[str, str]:
    """Options for one quantiser throughout; Motion JPEG in limited range is not official."""
    return {"qmin": str(quantiser), "qmax": str(quantiser), "strict": "unofficial"}


CODECS = {
    **{f"x264-{crf}": Codec("libx264", {"crf": str(crf)}) for crf in (18, 23, 28, 35)},
    **{f"mpeg4-{q}": Codec("mpeg4", fixed(q)) for q in (3, 10, 20)},
    "mpeg2-6": Codec("mpeg2video", fixed(6)),
    **{f"mjpeg-{q}": Codec("mjpeg", fixed(q)) for q in (2, 5, 12)},
    "mjpeg-4, x264-16": Codec("libx264", {"crf": "16"}, Codec("mjpeg", fixed(4))),
    "mpeg4-8, lossless": Codec("ffv1", {}, Codec("mpeg4", fixed(8))),
    **{f"x265-{crf}": Codec("libx265", {"crf": str(crf)}) for crf in (23, 30)},
    "vp9-32": Codec("libvpx-vp9", {"crf": "32", "b": "0", "cpu-used": "4"}),
    "av1-35": Codec("libsvtav1", {"crf": "35", "preset": "8"}),
}


def main() -> None:
    """Print a row for every codec."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--codecs", nargs="+", choices=CODECS, default=list(CODECS))
    parser.add_argument("--frames", type=int, default=7)
    parser.add_argument("--size", default="320x192")
    parser.add_argument("--model", choices=("full", "lite"))
    given = parser.parse_args()
    settings = EngineSettings(model=given.model)
    width, height = (int(side) for side in given.size.split("x"))
    clips = {
        path.stem: footage.cut(footage.read(path, given.frames), height, width)
        for path in sorted(given.clips.glob("*.mkv"))
    }
    print("| codec | PSNR | sigma | luma | Cb | Cr | least luma, Cb, Cr |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in given.codecs:
            rows = [gained(clip, CODECS[name], Path(folder), settings) for clip in clips.values()]
            clean = [row for row, clip in zip(rows, clips.values(), strict=True) if is_clean(clip)]
            least = ", ".join(f"{x:+.2f}" for x in np.min(clean or rows, 0)[2:])
            before, sigma, *gains = np.mean(rows, 0)
            cells = f"{name} | {before:.2f} | {sigma:.1f}", *(f"{x:+.2f}" for x in gains), least
            print(f"| {' | '.join(cells)} |", flush=True)


def is_clean(clip: Clip) -> bool:
    """Whether no block edge shows that it was compressed before."""
    found = find_edges([(planes[0] / 255).astype(np.float32) for planes in clip])
    return found is None or found < 0.5


def gained(clip: Clip, codec: Codec, folder: Path, settings: EngineSettings) -> NDArray[np.float64]:
    """PSNR of luma, sigma, and what every plane gains."""
    path = folder / "clip.mkv"
    given = clip if codec.before is None else encoded(clip, codec.before, path)
    before = encoded(given, codec, path)
    after, engine = denoised(path, settings)
    sigma = 0.0 if engine.found.noise is None else float(np.mean(engine.found.noise.sigma8))
    start, end = psnr(before, clip), psnr(after, clip)
    return np.array([start[0], sigma, *(end - start)])


def denoised(path: Path, settings: EngineSettings) -> tuple[Clip, Engine]:
    """A file's frames, and the engine, which has seen its noise."""
    with open_reader(str(path)) as reader:
        engine = load_engine(settings, reader.info)
        frames = list(denoise_stream(reader, reader.info, engine))
    return [[plane.astype(np.float64) for plane in frame.planes] for frame in frames], engine


def encoded(clip: Clip, codec: Codec, path: Path) -> Clip:
    """Write a clip, and return what the decoder makes of it."""
    options = codec.options | QUIET.get(codec.encoder, {})
    with ordinary_scheduling():
        footage.write(path, clip, codec.encoder, **options)
    return footage.read(path)


def psnr(clip: Clip, truth: Clip) -> NDArray[np.float64]:
    """Of every plane over all frames, in dB; planes that are equal count as one code in 1,000."""
    error = [
        np.mean([np.square(a[i] - b[i]).mean() for a, b in zip(clip, truth, strict=True)])
        for i in range(3)
    ]
    return 10 * np.log10(255**2 / np.maximum(error, 1e-3))


if __name__ == "__main__":
    main()
