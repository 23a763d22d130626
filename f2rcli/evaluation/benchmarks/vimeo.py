"""Vimeo-90K's septuplets as FITVNet uses them: 700 test clips, white and mixed noise."""

from pathlib import Path

import numpy as np

from f2rcli.evaluation.base import Benchmark
from f2rcli.evaluation.clips.datasets import CleanClips, Layout, published

LEVELS = ("gaussian:15", "gaussian:25", "gaussian:35", "gaussian:45", "gaussian:55")
CLIPS = 700
LENGTH = 7

LAYOUT = Layout(
    expects="sep_testlist.txt and sequences/<00001>/<0001>/im1.png to im7.png",
    where="the authors publish the septuplet set at toflow.csail.mit.edu",
)


def find(root: Path) -> dict[str, Path]:
    """700 septuplets of the test list, drawn with a fixed seed; all where there are fewer.

    Raises InputError for a list or septuplet that is missing.
    """
    base = next((b for b in (root, root / "vimeo_septuplet") if (b / "sequences").is_dir()), None)
    if base is None:
        raise LAYOUT.wrong(root, "has no folder sequences")
    listed = base / "sep_testlist.txt"
    if not listed.is_file():
        raise LAYOUT.wrong(root, "has no sep_testlist.txt")
    names = [line.strip() for line in listed.read_text("utf-8").splitlines() if line.strip()]
    if len(names) > CLIPS:
        names = [names[i] for i in np.random.default_rng(0).permutation(len(names))[:CLIPS]]
    clips = {name: base / "sequences" / name for name in sorted(names)}
    for name, path in clips.items():
        missing = next((i for i in range(1, LENGTH + 1) if not (path / f"im{i}.png").is_file()), 0)
        if missing:
            raise LAYOUT.wrong(root, f"sequences/{name} has no im{missing}.png")
    return clips


BENCHMARK: Benchmark = CleanClips(
    name="vimeo",
    title="Vimeo-90K septuplets, 700 of the test set",
    layout=LAYOUT,
    find=find,
    whole=lambda names: len(names) == CLIPS,
    noises=(*LEVELS, "mix"),
    protocol=(
        "700 septuplets of 448x256, drawn from the test list with seed 0: the 700 that FITVNet "
        "drew are not published, so rows differ by the draw as well.",
        "White Gaussian noise of five strengths, and FITVNet's mix (Gaussian 25.5 and 10 % salt "
        "and pepper), in floats, never clipped.",
        "PSNR and SSIM of all seven frames clamped to the range, not rounded, no border cut; mean "
        "over the frames of a clip, then over clips.",
    ),
    published=published("vimeo"),
    frames=LENGTH,
)
