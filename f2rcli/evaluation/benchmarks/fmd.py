"""FMD: fluorescence microscopy, fifty noisy captures of a field of view and their mean."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np

from f2rcli.errors import InputError
from f2rcli.evaluation.base import Benchmark, Case
from f2rcli.evaluation.clips.datasets import (
    Layout,
    Pictures,
    file_facts,
    pictures,
    refuse_noise,
    single_pictures,
)
from f2rcli.evaluation.result import BenchmarkFacts
from f2rcli.frames import Family, Plane, PlaneLayout

KINDS = ("Confocal_FISH", "Confocal_MICE", "TwoPhoton_MICE")
FIELD = "19"  # the field of view that is kept for tests
CAPTURES = 50
GRAY = PlaneLayout(family=Family.GRAY, bits=8)

LAYOUT = Layout(
    expects=f"<kind>/raw/{FIELD}/*.png and <kind>/gt/{FIELD}/avg50.png for the kinds "
    + ", ".join(KINDS),
    where="the authors publish FMD (github.com/yinhaoz/denoising-fluorescence)",
)


class FMD:
    """Field of view 19 of three kinds; a `Benchmark`. Captures are no frames of a video: each is a
    picture by itself, or their mean would be the reference."""

    name = "fmd"
    title = "FMD, single raw captures"
    metrics: tuple[str, ...] = ("psnr", "ssim")
    clipped = True
    frames: int | None = CAPTURES

    def cases(self, root: Path, noises: tuple[str, ...], frames: int | None = None) -> list[Case]:
        """See Benchmark. frames: fewer captures than 50."""
        refuse_noise(self.name, noises)
        LAYOUT.check(root)
        kinds = [kind for kind in KINDS if (root / kind).is_dir()]
        if not kinds:
            raise LAYOUT.wrong(root, "holds none of its folders")
        return [self._case(root, kind, min(frames or CAPTURES, CAPTURES)) for kind in kinds]

    def _case(self, root: Path, kind: str, captures: int) -> Case:
        clean, folder = root / kind / "gt" / FIELD / "avg50.png", root / kind / "raw" / FIELD
        if not clean.is_file():
            raise LAYOUT.wrong(root, f"{clean.relative_to(root)} is missing")
        noisy = list(single_pictures(folder).values())[:captures] if folder.is_dir() else []
        if not noisy:
            raise LAYOUT.wrong(root, f"{folder.relative_to(root)} holds no pictures")
        size = _picture(clean).shape
        whole = partial(pictures, layout=GRAY, size=(size[0], size[1]), apart=True)
        return Case(
            name=kind,
            group=kind,
            reference=whole(f"{kind} avg50", read=[partial(_picture, clean)] * len(noisy)),
            noisy=whole(f"{kind} raw", read=[partial(_picture, path) for path in noisy]),
            files=(file_facts("clean", clean), file_facts("noisy", folder)),
        )

    def facts(self, cases: list[Case]) -> BenchmarkFacts:
        """See Benchmark."""
        counts = [c.noisy.info.frames for c in cases if isinstance(c.noisy, Pictures)]
        return BenchmarkFacts(
            name=self.name,
            title=self.title,
            protocol=(
                f"Field of view {FIELD}, {CAPTURES} raw captures of each kind, one by one: no "
                "method sees more than one capture; the reference is the mean of 50.",
                "8-bit gray; PSNR and SSIM of whole captures, no border cut; mean over captures.",
                "Blind2Sound (ICCV 2025) gives 38.40 (N2C), 38.44 (Blind2Unblind) and 38.46 dB for "
                "FMD confocal; which of the confocal sets that is, f2r does not know.",
            ),
            complete=counts == [CAPTURES] * len(KINDS),
        )


def _picture(path: Path) -> Plane:
    codes = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if codes is None or codes.dtype != np.uint8 or codes.ndim != 2:
        raise InputError(f"{path}: is no 8-bit gray picture.", hint=LAYOUT.hint)
    return np.asarray(codes)


BENCHMARK: Benchmark = FMD()
