"""BSD68: 68 gray pictures with Poisson-Gaussian noise, as Blind2Sound measures them."""

from pathlib import Path

from f2rcli.errors import InputError
from f2rcli.evaluation.base import Benchmark
from f2rcli.evaluation.clips.datasets import CleanClips, Layout, published, single_pictures
from f2rcli.frames import Space
from f2rcli.io import open_reader

PICTURES = 68
NOISE = "poisson-gaussian:0.01,5.1"  # alpha 0.01, sigma 0.02

LAYOUT = Layout(
    expects="68 gray pictures such as test001.png, in the folder or in BSD68 below it",
    where="BSD68 is part of the Berkeley segmentation dataset of UC Berkeley",
)


def find(root: Path) -> dict[str, Path]:
    """The pictures of a root or of BSD68 below it. Raises InputError for one in colour."""
    found = single_pictures(root / "BSD68" if (root / "BSD68").is_dir() else root)
    for path in found.values():
        with open_reader(path) as reader:
            if reader.info.space is not Space.GRAY:
                raise InputError(
                    f"{path}: is in colour; BSD68 is gray.", hint="Name the folder of gray ones."
                )
    return found


BENCHMARK: Benchmark = CleanClips(
    name="bsd68",
    title="BSD68, gray",
    layout=LAYOUT,
    find=find,
    whole=lambda names: len(names) == PICTURES,
    noises=(NOISE,),
    protocol=(
        "68 gray pictures, one by one: no method sees more than one picture.",
        "Noise of variance 0.01 x + 0.02^2 for x in 0..1, Gaussian at every level (the published "
        "rows draw Poisson counts), in floats, never clipped.",
        "PSNR and SSIM of the result clamped to the range, not rounded, no border cut; mean over "
        "pictures.",
    ),
    published=published("bsd68"),
    frames=1,
)
