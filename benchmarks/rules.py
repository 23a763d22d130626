"""What each rule of the heart is worth: one is switched off at a time, and what clips lose is told.

    python benchmarks/rules.py DATA --out RESULTS.jsonl [--rules NAME ...] [--seconds 300]
    python benchmarks/rules.py --table RESULTS.jsonl

DATA holds `video/test`, `raw` and `microscopy` (see FOOTAGE). A piece is one rule on one footage;
each is a line of RESULTS, and one that is there is not run again: the command may be stopped and
gone on with, here or elsewhere. `--seconds` stops it after about so many of processor time.

Clips are cropped to 320x192 in the middle, 8 frames. Figures are dB of PSNR against the clean
frames, of luma (or all channels of RGB) and of chroma, of "clean" against the frames as they are,
and processor seconds with one thread, opening included. A rule is a name of ROWS, beside its number
in the review of the heart; `none` switches nothing off. The patches stand in this file alone, so
that a rule that goes takes its row with it.
"""

import argparse
import importlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import av
import numpy as np
import tifffile
from noisy_clips import write
from numpy.typing import NDArray

from f2rcli.engine.stream import EngineSettings, denoise_stream, load_engine
from f2rcli.frames import ClipInfo, Family, Frame, Matrix, Mosaic, PlaneLayout
from f2rcli.io import open_reader
from f2rcli.samples.lanes import measure_lane
from f2rcli.sensor import bayer_layout

Codes = NDArray[Any]
WIDTH, HEIGHT, FRAMES = 320, 192, 8
CLIPS = ("davis_car-shadow", "davis_horsejump-high", "gopro_path", "sam2_coffee")
RGB = PlaneLayout(family=Family.RGB, bits=8)
YUV = PlaneLayout(
    family=Family.YUV, bits=8, log2_chroma=(1, 1), full_range=False, matrix=Matrix.BT709
)
MOSAIC = bayer_layout(Mosaic(pattern="GBRG", black=(240.0,) * 4, white=(4095.0,) * 4), 12)
NOISE, CONTRACT = "f2rcli.noise.measurement", "f2rcli.engine.contract"
ENGINE = "f2rcli.engine.noise"


def gives(value: Any) -> Callable[..., Any]:
    """A stand-in that always returns this."""
    return lambda *_, **__: value


def first(*given: Any, **_: Any) -> Any:
    """A stand-in that returns what it is given first."""
    return given[0]


def second(*given: Any, **_: Any) -> Any:
    """The same of a method."""
    return given[1]


# Rule: its number; what is patched (module, name, stand-in); the footage that it was made for.
Patch = tuple[str, str, Any]
ROWS: dict[str, tuple[str, list[Patch], tuple[str, ...]]] = {
    "none": ("", [], ()),
    "sparse blocks": ("3", [
        (f"{NOISE}.blocks", "_dense", lambda blocks, _: np.ones(len(blocks))),
        (f"{NOISE}.bound", "SPARKS", 1e9),
    ], ()),
    "fades": ("5", [(f"{NOISE}.blocks", "same_light", first),
                    (f"{NOISE}.bound", "same_light", first)], ("fade", "cut")),
    "coarse or white": ("8", [(f"{NOISE}.bound", "_white_share", gives(1.0))], ()),
    "slack": ("9", [
        (f"{NOISE}.bound", "cut_to",
         lambda law, bound, *, even=False: min(bound / law, 1.0) if law > 0 else 1.0),
        (f"{NOISE}.bound", "LIFT", 1e9),
    ], ()),
    "predicted": ("11", [(f"{ENGINE}.opening", "held_predicted", first)], ()),
    "places": ("13", [(f"{ENGINE}.opening", "louder_part", gives(None)),
                      (f"{ENGINE}.ceiling", "places", gives(()))], ("inset",)),
    "ceiling": ("14", [("f2rcli.engine.windowed.Restorer", "_due", gives(False)),
                       ("f2rcli.engine.windowed", "_fades", gives(False))],
                ("fade", "cut", "switch")),
    "excerpts": ("16", [(f"{ENGINE}.opening", "excerpts", list)], ("large",)),
    "rows that are new": ("28", [("f2rcli.engine.rows", "_found_new", gives([]))],
                          ("swan", "car", "calcium")),
    "lines that stay": ("31", [("f2rcli.engine.rows", "_found", gives([]))],
                        ("swan", "car", "calcium")),
    "bands held": ("41", [(f"{CONTRACT}.residual", "limit_to_noise", first)], ()),
    "change of frames": ("42", [(f"{CONTRACT}.residual", "_quiet", gives([]))], ()),
    "clipping": ("44", [(f"{CONTRACT}.residual", "shifts_removed", gives(([], [])))], ("dark",)),
    "tolerances": ("45", [("f2rcli.engine.dim.written", "SPARSE", "STRICT")], ("calcium",)),
    "colour noise": ("47", [(f"{CONTRACT}.residual", "_calmed",
                             lambda groups, removed, *_: removed)], ()),
    "Stein's shares": ("48", [("f2rcli.engine.probing.ResponseProbe", "new", gives(None))],
                       ("y2", "y4")),
    "mean removed": ("49", [(f"{CONTRACT}.residual", "lost",
                             lambda memory, kind, removed, *_: (0 * removed, removed, removed))],
                     ("still", "still15")),
    "still burst": ("50", [(f"{CONTRACT}.residual", "nearer",
                            lambda memory, kind, shown, *_: 0 * shown)], ("still", "still15")),
    "settling": ("51", [(f"{CONTRACT}.residual", "settled",
                         lambda memory, kind, shown, *_: shown)], ("still", "still15")),
    "points": ("52", [(f"{CONTRACT}.frame_points", "with_points", first)],
               ("swan", "car", "calcium")),
    "sums": ("56", [("f2rcli.engine.stream", "dim", gives(False))], ("calcium",)),
    "missed light": ("57", [("f2rcli.engine.dim.missed.Missed", "of",
                             lambda self, row, at, estimate, variance: 0 * estimate)],
                     ("calcium",)),
    "fused": ("64", [("f2rcli.models.convolutions.fused", "fuses", gives(False))], ()),
    "ensemble": ("65", [
        (f"{ENGINE}.tracking.NoiseTracker", "ensemble", property(gives(False))),
    ], ("y2", "g2")),

}  # fmt: skip
ORDINARY = tuple(f"{clip}:{noise}" for noise in ("g30", "g5", "h264", "g20") for clip in CLIPS)
LIGHT = ("y6", "clean")  # of two clips


@cache
def clip(folder: Path, name: str, kind: str, count: int = FRAMES) -> list[Codes]:
    """Planes (T, H, W) of a clip's middle, as R, G, B or as Y, U, V 4:2:0."""
    with av.open(str(folder / "video" / "test" / f"{name}.mkv")) as container:
        shown = [
            frame.reformat(format="rgb24" if kind == "rgb" else "yuv420p", dst_color_range=1)
            for frame in islice(container.decode(video=0), count)
        ]
    if kind == "rgb":
        pictures = np.stack([one.to_ndarray() for one in shown]).astype(float)
        return [middle(pictures[..., channel]) for channel in range(3)]
    planes = []
    for index, step in enumerate((1, 2, 2)):
        rows = [np.frombuffer(memoryview(one.planes[index]), np.uint8) for one in shown]
        wide = [one.planes[index].line_size for one in shown]
        stack = np.stack([row.reshape(-1, w) for row, w in zip(rows, wide, strict=True)])
        plane = shown[0].planes[index]
        planes.append(middle(stack[:, : plane.height, : plane.width].astype(float), step))
    return planes


def middle(stack: Codes, step: int = 1) -> Codes:
    """The middle of planes on a grid of so many pixels."""
    high, wide = min(HEIGHT // step, stack.shape[1]), min(WIDTH // step, stack.shape[2])
    top, left = ((n - k) // 4 * 2 for n, k in zip(stack.shape[1:], (high, wide), strict=True))
    return stack[:, top : top + high, left : left + wide]


def noisy(clean: Sequence[Codes], sigma: float, layout: PlaneLayout, seed: int = 1) -> list[Codes]:
    """Planes with white noise, rounded and cut off."""
    rng, (low, high) = np.random.default_rng(seed), (1, 254) if layout is YUV else (0, 255)
    return [
        np.clip(np.rint(plane + rng.normal(0, sigma, plane.shape)), low, high).astype(np.uint8)
        for plane in clean
    ]


Footage = tuple[list[Frame], ClipInfo, list[Codes]]  # and the truth, plane by plane


def footage(data: Path, name: str) -> Footage:
    """The frames of a footage: `clip:noise`, or one of those below."""
    if ":" in name:
        stem, noise = name.split(":")
        if noise == "h264":
            return coded(data, stem)
        clean = clip(data, stem, "rgb")
        return framed(noisy(clean, float(noise[1:]), RGB), RGB, clean)
    if name in ("swan", "car"):
        full = {"swan": "blackswan_iso6400", "car": "car-shadow_iso25600"}[name]
        both = [tifffile.imread(data / f"raw/crvdlike_{full}_{kind}.tif")[:10, :192, :224]
                for kind in ("noisy", "clean")]  # fmt: skip
        return framed([both[0]], MOSAIC, [both[1].astype(float)])
    if name == "calcium":
        given, clean = (tifffile.imread(data / f"microscopy/sim_calcium_{kind}.tif")[:16, :96, :96]
                        for kind in ("noisy", "clean"))  # fmt: skip
        layout = PlaneLayout(family=Family.GRAY, bits=16, levels=measure_lane(list(given)).levels)
        return framed([given], layout, [clean / 8])
    stem = CLIPS[0] if name in ("fade", "inset", "dark", "y4", "g2") else CLIPS[3]
    if name == "g2":
        clean = clip(data, stem, "rgb")
        return framed(noisy(clean, 2, RGB), RGB, clean)
    if name == "large":
        rng = np.random.default_rng(0)
        big = [np.tile(plane, (1, 4, 4))[:6] for plane in clip(data, stem, "rgb")]
        codes = [np.clip(plane + rng.normal(0, 20, plane.shape), 0, 255) for plane in big]
        return framed([np.rint(c).astype(np.uint8) for c in codes], RGB, big)
    clean = clip(data, stem, "yuv", 16)
    clean = [plane[: 16 if name.startswith("still") else FRAMES] for plane in clean]
    sigma = {"y2": 2, "y4": 4, "y6": 6, "clean": 0, "still": 5, "still15": 15, "dark": 8}
    if name.startswith("still"):
        clean = [np.repeat(plane[:1], 16, 0) for plane in clean]
    elif name == "dark":
        clean = [16 + (clean[0] - 16) * 27 / 219, *(128 + (c - 128) * 0.3 for c in clean[1:])]
    elif name == "fade":
        light = np.linspace(1, 0.05, FRAMES)[:, None, None]
        clean = [16 + (clean[0] - 16) * light, *(128 + (c - 128) * light for c in clean[1:])]
    elif name == "cut":
        other = clip(data, CLIPS[0], "yuv")
        clean = [np.concatenate([a[:4], b[4:]]) for a, b in zip(clean, other, strict=True)]
    given = noisy(clean, sigma.get(name, 5), YUV)
    if name == "switch":  # a shot of another camera, without noise
        other = [
            np.concatenate([a, b]) for a, b in zip(clean, clip(data, CLIPS[0], "yuv"), strict=True)
        ]
        given = [
            np.concatenate([a, b[FRAMES:]]).astype(np.uint8)
            for a, b in zip(given, other, strict=True)
        ]
        clean = other
    elif name == "inset":  # a camera in the corner of a clean screen
        for plane, truth in zip(given, clean, strict=True):
            whole = np.rint(truth).astype(np.uint8)
            whole[:, plane.shape[1] // 2 :, plane.shape[2] // 2 :] = plane[
                :, plane.shape[1] // 2 :, plane.shape[2] // 2 :
            ]
            plane[:] = whole
    return framed(given, YUV, clean)


def framed(planes: Sequence[Codes], layout: PlaneLayout, truth: list[Codes]) -> Footage:
    """Planes as a reader would give them."""
    frames = [
        Frame(planes=tuple(map(np.ascontiguousarray, one)), layout=layout, pts=index, duration=1,
              time_base=Fraction(1, 25))
        for index, one in enumerate(zip(*planes, strict=True))
    ]  # fmt: skip
    height, width = planes[0].shape[1:]
    info = ClipInfo(
        name="clip", width=width, height=height, layout=layout, frames=len(frames), duration=None,
        rate=Fraction(25), time_base=Fraction(1, 25),
    )  # fmt: skip
    return frames, info, truth


def coded(data: Path, stem: str) -> Footage:
    """Noise of 20 that x264 was given."""
    clean = clip(data, stem, "yuv")
    rgb = np.stack(noisy(clip(data, stem, "rgb"), 20, RGB), -1)
    with TemporaryDirectory() as folder:
        write(Path(folder, "clip.mp4"), rgb, Fraction(25), "libx264", {"crf": "23"}, "yuv420p")
        with open_reader(Path(folder, "clip.mp4")) as reader:
            return list(reader), reader.info, clean


def piece(data: Path, rule: str, name: str) -> dict[str, Any]:
    """One rule switched off on one footage."""
    given, info, truth = footage(data, name)
    with ExitStack() as off:
        for where, what, stand_in in ROWS[rule][1]:
            owner = _owner(where)
            told = getattr(importlib.import_module(f"{CONTRACT}.residual"), stand_in) if (
                isinstance(stand_in, str)) else stand_in  # fmt: skip
            off.enter_context(patch.object(owner, what, told))
        begun = time.process_time()
        engine = load_engine(EngineSettings(threads=1, device="cpu"), info)
        out = list(denoise_stream(iter(given), info, engine))
        spent = time.process_time() - begun
    peak = 3855.0 if info.layout is MOSAIC else np.ptp(truth[0]) if name == "calcium" else 255.0
    found = []
    for index, clean in enumerate(truth):
        shown = np.stack([frame.planes[index] for frame in out]).astype(float)
        found.append(float(np.mean(np.square(shown - clean))))
    groups = [found] if info.layout.family is not Family.YUV else [found[:1], found[1:]]
    psnr = [round(10 * np.log10(peak**2 / max(np.mean(one), 1e-4)), 3) for one in groups]
    sigma = [] if engine.noise is None else [round(s, 4) for s in engine.noise.sigma8]
    return {"rule": rule, "footage": name, "psnr": psnr, "seconds": round(spent, 2), "sigma": sigma}


def _owner(where: str) -> Any:
    """A module, or a class of one."""
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError:
        module, _, name = where.rpartition(".")
        return getattr(importlib.import_module(module), name)


def pieces(rules: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Rules with the footage that each is tried on; `none` on all of it."""
    special = {name for _, _, names in ROWS.values() for name in names}
    for rule in rules:
        own = sorted(special) if rule == "none" else ROWS[rule][2]
        yield from ((rule, name) for name in dict.fromkeys((*own, *LIGHT, *ORDINARY)))


def table(results: Path) -> None:
    """What each rule is worth: means over clips of dB with it minus without it."""
    rows = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    known = {(row["rule"], row["footage"]): row for row in rows}
    groups = {noise: [f"{name}:{noise}" for name in CLIPS] for noise in ("g5", "g20", "g30")}
    groups["h264"] = [f"{name}:h264" for name in CLIPS]
    groups |= {name: [name] for name in LIGHT}
    print("| rule | row | " + " | ".join(groups) + " | made for |")
    print("|---" * (len(groups) + 3) + "|")
    for rule, (number, _, own) in ROWS.items():
        if rule == "none" or not any(row["rule"] == rule for row in rows):
            continue
        cells = [_worth(known, rule, names) for names in groups.values()]
        made = "; ".join(f"{name} {_worth(known, rule, [name])}" for name in own)
        print(f"| {rule} | {number} | {' | '.join(cells)} | {made} |")


def _worth(known: dict[tuple[str, str], Any], rule: str, names: Sequence[str]) -> str:
    pairs = [(known["none", name]["psnr"], known[rule, name]["psnr"])
             for name in names if (rule, name) in known and ("none", name) in known]  # fmt: skip
    if not pairs:
        return ""
    worth = np.mean([np.subtract(*pair) for pair in pairs], 0)
    short = "" if len(pairs) == len(names) else f" ({len(pairs)})"
    return " / ".join(f"{one:+.2f}" for one in worth) + short


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rules", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    if given.table:
        table(given.table)
        return
    done = given.out.read_text(encoding="utf-8").splitlines() if given.out.exists() else []
    known = {(row["rule"], row["footage"]) for row in map(json.loads, done)}
    for rule, name in pieces(given.rules):
        if (rule, name) in known or time.process_time() > given.seconds:
            continue
        with given.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(piece(given.data, rule, name)) + "\n")


if __name__ == "__main__":
    main()
