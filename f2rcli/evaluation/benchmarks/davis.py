"""DAVIS 2017 test-dev at 480p: thirty videos, white Gaussian noise of five strengths."""

from pathlib import Path

from f2rcli.evaluation.base import Benchmark
from f2rcli.evaluation.clips.datasets import CleanClips, Layout, published, sequences

LEVELS = ("gaussian:10", "gaussian:20", "gaussian:30", "gaussian:40", "gaussian:50")
TEST_DEV = frozenset(
    (
        "aerobatics", "car-race", "carousel", "cats-car", "chamaleon", "deer", "giant-slalom",
        "girl-dog", "golf", "guitar-violin", "gym", "helicopter", "horsejump-stick", "hoverboard",
        "lock", "man-bike", "monkeys-trees", "mtb-race", "orchid", "people-sunset",
        "planes-crossing", "rollercoaster", "salsa", "seasnake", "skate-jump", "slackline",
        "subway", "tandem", "tennis-vest", "tractor",
    )
)  # fmt: skip
PREFIX = "davis_"  # of single video files, so that they may lie beside other clips


def find(root: Path) -> dict[str, Path]:
    """Test-dev's sequences below a root, if all are there; else whatever sequences are."""
    for folder in (root / "JPEGImages" / "480p", root / "480p", root):
        clips = sequences(folder)
        if clips:
            break
    named = {n.removeprefix(PREFIX): p for n, p in clips.items() if n.startswith(PREFIX)} or clips
    whole = named.keys() >= TEST_DEV
    return {name: path for name, path in named.items() if not whole or name in TEST_DEV}


BENCHMARK: Benchmark = CleanClips(
    name="davis",
    title="DAVIS 2017 test-dev, 480p",
    layout=Layout(
        expects="JPEGImages/480p/<sequence>/00000.jpg and so on, or videos davis_<sequence>.mkv",
        where="the authors publish DAVIS 2017 (test-dev, 480p) at davischallenge.org",
    ),
    find=find,
    whole=lambda names: names == TEST_DEV,
    noises=LEVELS,
    protocol=(
        "30 sequences of test-dev, every frame; frames that are not 854x480 keep their size.",
        "White Gaussian noise on RGB, drawn afresh for every frame, in floats, never clipped.",
        "PSNR and SSIM of every frame clamped to the range, not rounded, no border cut; mean over "
        "the frames of a sequence, then over sequences, as FastDVDnet and STBN count.",
        "Frames at the ends are scored too: F2R's own script leaves the first and last four out.",
    ),
    published=published("davis"),
)
