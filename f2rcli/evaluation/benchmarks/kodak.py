"""Kodak's 24 colour pictures with Poisson-Gaussian and white Gaussian noise."""

from pathlib import Path

from f2rcli.evaluation.base import Benchmark
from f2rcli.evaluation.clips.datasets import CleanClips, Layout, single_pictures

PICTURES = 24


def find(root: Path) -> dict[str, Path]:
    """The pictures of a root, or of Kodak or kodak below it."""
    folders = (root / "Kodak", root / "kodak", root)
    return single_pictures(next(folder for folder in folders if folder.is_dir()))


BENCHMARK: Benchmark = CleanClips(
    name="kodak",
    title="Kodak, 24 colour pictures",
    layout=Layout(
        expects="24 colour pictures such as kodim01.png, in the folder or in Kodak below it",
        where="the lossless true colour suite is published at r0k.us/graphics/kodak",
    ),
    find=find,
    whole=lambda names: len(names) == PICTURES,
    noises=("poisson-gaussian:0.01,5.1", "gaussian:25"),
    protocol=(
        "24 pictures of 768x512, one by one: no method sees more than one picture.",
        "Noise of variance 0.01 x + 0.02^2 for x in 0..1, and white Gaussian noise of sigma 25, "
        "in floats, never clipped.",
        "PSNR and SSIM of the result clamped to the range, not rounded, no border cut; mean over "
        "pictures.",
        "No published rows: those known to f2r do not say which noise they stand for.",
    ),
    frames=1,
)
