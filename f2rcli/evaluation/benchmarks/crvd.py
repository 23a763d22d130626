"""CRVD: raw video of indoor scenes at five sensitivities, with noise of a real sensor."""

import re
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
    published,
    refuse_noise,
)
from f2rcli.evaluation.clips.pairing import File
from f2rcli.evaluation.result import BenchmarkFacts
from f2rcli.frames import Mosaic, Plane
from f2rcli.io import ReadOptions
from f2rcli.sensor import bayer_layout

SCENES = (7, 8, 9, 10, 11)  # of the test set
FRAMES = 7
ISOS = (1600, 3200, 6400, 12800, 25600)
MOSAIC = Mosaic(pattern="GBRG", black=(240.0,) * 4, white=(4095.0,) * 4)
SENSOR = bayer_layout(MOSAIC, 12, "CRVD")

LAYOUT = Layout(
    expects="indoor_raw_noisy/scene7/ISO1600/frame1_noisy0.tiff and "
    "indoor_raw_gt/scene7/ISO1600/frame1_clean_and_slightly_denoised.tiff and so on",
    where="the authors of RViDeNet publish CRVD (github.com/cao-cong/RViDeNet)",
)
PAIR = re.compile(r"(?P<name>.+)_iso(?P<iso>\d+)_noisy\.tiff?", re.IGNORECASE)


class CRVD:
    """Scenes 7 to 11, noise draw 0; a `Benchmark`."""

    name = "crvd"
    title = "CRVD, indoor scenes 7 to 11"
    metrics: tuple[str, ...] = ("psnr", "ssim")
    clipped = True
    frames: int | None = FRAMES

    def cases(self, root: Path, noises: tuple[str, ...], frames: int | None = None) -> list[Case]:
        """See Benchmark; pairs of stacks, <name>_iso<ISO>_noisy.tif and _clean.tif, count too."""
        refuse_noise(self.name, noises)
        LAYOUT.check(root)
        length = frames or FRAMES
        if (root / "indoor_raw_noisy").is_dir():
            return [self._scene(root, s, iso, min(length, FRAMES)) for iso in ISOS for s in SCENES]
        pairs = [(p, found) for p in sorted(root.iterdir()) if (found := PAIR.fullmatch(p.name))]
        if not pairs:
            raise LAYOUT.wrong(root, "has no folder indoor_raw_noisy")
        return [self._pair(path, found["name"], found["iso"], length) for path, found in pairs]

    def _scene(self, root: Path, scene: int, iso: int, length: int) -> Case:
        noisy, clean = (
            _folder(root / kind, scene, iso) for kind in ("indoor_raw_noisy", "indoor_raw_gt")
        )
        sides = []
        for folder, end in ((clean, "clean_and_slightly_denoised"), (noisy, "noisy0")):
            files = [folder / f"frame{i}_{end}.tiff" for i in range(1, length + 1)]
            missing = next((file for file in files if not file.is_file()), None)
            if missing is not None:
                raise LAYOUT.wrong(root, f"{missing.relative_to(root)} is missing")
            sides.append(_clip(f"scene{scene} ISO{iso} {end}", files))
        return Case(
            name=f"scene{scene}", group=f"ISO {iso}", reference=sides[0], noisy=sides[1],
            files=(file_facts("clean", clean), file_facts("noisy", noisy)),
        )  # fmt: skip

    def _pair(self, noisy: Path, name: str, iso: str, length: int) -> Case:
        clean = noisy.with_name(re.sub("_noisy", "_clean", noisy.name, flags=re.IGNORECASE))
        if not clean.is_file():
            raise LAYOUT.wrong(noisy.parent, f"{clean.name} is missing")
        options = ReadOptions(frames=length)
        return Case(
            name=name, group=f"ISO {iso}", reference=File(clean, options),
            noisy=File(noisy, options),
            files=(file_facts("clean", clean), file_facts("noisy", noisy)),
        )  # fmt: skip

    def facts(self, cases: list[Case]) -> BenchmarkFacts:
        """See Benchmark."""
        scenes = [case.reference for case in cases if isinstance(case.reference, Pictures)]
        return BenchmarkFacts(
            name=self.name,
            title=self.title,
            protocol=(
                f"Scenes 7 to 11, {FRAMES} frames each, noise draw 0, at each of five ISO values; "
                "the reference is clean_and_slightly_denoised.",
                "GBRG mosaic, 12 bits, black 240, white 4095; results rounded and clipped to the "
                "sensor's codes.",
                "PSNR and SSIM of the four packed planes from black to white, no border cut; mean "
                "over frames, then over scenes.",
                "Self-supervised rows were trained on the noisy test clips themselves.",
            ),
            complete=len(scenes) == len(SCENES) * len(ISOS)
            and all(scene.info.frames == FRAMES for scene in scenes),
            published=published(self.name),
        )


def _folder(base: Path, scene: int, iso: int) -> Path:
    """The folder of a scene; the download unpacks to one folder more per scene."""
    inner = Path(f"scene{scene}") / f"ISO{iso}"
    nested = base / f"{base.name}_scene{scene}" / inner
    return nested if nested.is_dir() else base / inner


def _clip(name: str, files: list[Path]) -> Pictures:
    size = _mosaic(files[0]).shape
    return pictures(name, SENSOR, (size[0], size[1]), [partial(_mosaic, file) for file in files])


def _mosaic(path: Path) -> Plane:
    codes = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if codes is None or codes.ndim != 2 or codes.dtype != np.uint16:
        raise InputError(f"{path}: is no 16-bit mosaic.", hint=LAYOUT.hint)
    return np.asarray(codes)


BENCHMARK: Benchmark = CRVD()
