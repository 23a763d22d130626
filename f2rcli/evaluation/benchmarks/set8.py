"""Set8: four videos of a GoPro and four of Derf's collection, 960x540, white Gaussian noise."""

from pathlib import Path

from f2rcli.evaluation.base import Benchmark
from f2rcli.evaluation.clips.datasets import CleanClips, Layout, published, sequences

LEVELS = ("gaussian:10", "gaussian:20", "gaussian:30", "gaussian:40", "gaussian:50")
CLIPS = frozenset(
    (
        "hypersmooth", "motorbike", "rafting", "snowboard",
        "park_joy", "sunflower", "touchdown", "tractor",
    )
)  # fmt: skip
MOST_FRAMES = 85  # of a sequence


def find(root: Path) -> dict[str, Path]:
    """The eight sequences below a root, or in folders of it such as Derfs and GoPro."""
    folders = [root, *(path for path in sorted(root.iterdir()) if path.is_dir())]
    clips = {name: path for folder in folders for name, path in sequences(folder).items()}
    return {name: path for name, path in sorted(clips.items()) if name in CLIPS}


BENCHMARK: Benchmark = CleanClips(
    name="set8",
    title="Set8",
    layout=Layout(
        expects="<sequence>/*.png, also in folders such as Derfs and GoPro, for the sequences "
        + ", ".join(sorted(CLIPS)),
        where="the authors of FastDVDnet name its source (github.com/m-tassano/fastdvdnet)",
    ),
    find=find,
    whole=lambda names: names == CLIPS,
    noises=LEVELS,
    protocol=(
        f"8 sequences of 960x540, at most {MOST_FRAMES} frames of each, as STBN counts; "
        "FastDVDnet's own script reads 25.",
        "White Gaussian noise on RGB, drawn afresh for every frame, in floats, never clipped.",
        "PSNR and SSIM of every frame clamped to the range, not rounded, no border cut; mean over "
        "the frames of a sequence, then over sequences.",
    ),
    published=published("set8"),
    frames=MOST_FRAMES,
)
