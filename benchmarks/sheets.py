"""What f2r makes of flat sheets before a hand-held camera: clean ones may not change.

    python benchmarks/sheets.py [--sheets table music ...] [--motions tremble zoom ...]
        [--sigmas 0 3] [--frames 7]

Letters, tables, sheet music, bar codes, keys and bricks are drawn at four times the size and shown
by area averaging, so that thin lines share their light among rows as they do on a sensor. Printed
for each sheet and motion, with noise of every sigma: lines and bands that were found (there are
none), and PSNR of luma against the clean clip, of the input and of the output (88: the same).
"""

import argparse
import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from compression import Codec, Planes, denoised, encoded
from numpy.typing import NDArray

HEIGHT, WIDTH, FINER, MARGIN = 288, 384, 4, 20
Sheet = NDArray[np.uint8]
Real = NDArray[np.float32]

Place = tuple[float, float, float, float]  # rows, columns, zoom, turn (degrees)

MOTIONS: dict[str, Callable[[int], Place]] = {
    "tremble": lambda t: (0.3 * np.cos(1.7 * t), 0.3 * np.sin(2.1 * t), 1, 0),
    "shake": lambda t: (1.2 * np.cos(1.7 * t), 1.2 * np.sin(2.1 * t), 1, 0),
    "pan": lambda t: (0.4 * t, 1.3 * t, 1, 0),
    "zoom": lambda t: (0, 0, 1 + 0.012 * t, 0),
    "turn": lambda t: (0, 0, 1, 0.4 * np.sin(1.3 * t)),
}


def main() -> None:
    """Print a row for every sheet, motion and sigma."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sheets", nargs="+", choices=SHEETS, default=list(SHEETS))
    parser.add_argument("--motions", nargs="+", choices=MOTIONS, default=list(MOTIONS))
    parser.add_argument("--sigmas", nargs="+", type=float, default=[0.0, 3.0])
    parser.add_argument("--frames", type=int, default=7)
    given = parser.parse_args()
    print("| sheet | motion | sigma | found | in | out |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, motion in product(given.sheets, given.motions):
            clean = filmed(drawn(name), motion, given.frames)
            for sigma in given.sigmas:
                print(
                    f"| {name} | {motion} | {sigma:g} | {row(clean, sigma, folder)} |", flush=True
                )


def row(clean: list[Planes], sigma: float, folder: str) -> str:
    """What was found, and the PSNR of luma before and after, as cells of a table."""
    rng = np.random.default_rng(1)
    given = [[plane + rng.normal(0, sigma, plane.shape) for plane in frame] for frame in clean]
    path = Path(folder) / "sheet.mkv"
    before = encoded([[p.clip(1, 254) for p in f] for f in given], Codec("ffv1", {}), path)
    after, engine = denoised(path)
    found = "; ".join(lines.words() for lines in engine.lines.values()) or "-"
    return f"{found} | {psnr(before, clean):.1f} | {psnr(after, clean):.1f}"


def psnr(clip: list[Planes], clean: list[Planes]) -> float:
    """Of luma."""
    off = [
        np.square(np.asarray(a[0], float) - b[0]).mean() for a, b in zip(clip, clean, strict=True)
    ]
    return float(10 * np.log10(255**2 / max(np.mean(off), 1e-4)))


def filmed(sheet: Sheet, motion: str, frames: int) -> list[Planes]:
    """The sheet as a camera with 4:2:0 sees it."""
    soft = cv2.GaussianBlur(sheet.astype(np.float32) / 255, (0, 0), 1.8)
    shown, (height, width) = [], soft.shape
    for time in range(frames):
        down, across, zoom, turn = MOTIONS[motion](time)
        move = cv2.getRotationMatrix2D((width / 2, height / 2), turn, zoom)
        move[:, 2] += np.array([FINER * across, FINER * down])
        moved = cv2.warpAffine(soft, move, (width, height), borderMode=cv2.BORDER_REFLECT)
        small = cv2.resize(moved, None, fx=1 / FINER, fy=1 / FINER, interpolation=cv2.INTER_AREA)
        luma = np.rint(16 + 219.0 * small[MARGIN:-MARGIN, MARGIN:-MARGIN])
        shown.append([luma, *[np.full((HEIGHT // 2, WIDTH // 2), 128.0)] * 2])
    return shown


def drawn(name: str) -> Sheet:
    """A sheet, FINER times as large as it is shown."""
    size = FINER * (HEIGHT + 2 * MARGIN), FINER * (WIDTH + 2 * MARGIN)
    sheet = np.full(size, 230, np.uint8)
    SHEETS[name](sheet, np.random.default_rng(5))
    return sheet


def letters(sheet: Sheet, rng: np.random.Generator) -> None:
    """Lines of words that nearly touch."""
    written(sheet, rng, 1.0, 36, 2)


def news(sheet: Sheet, rng: np.random.Generator) -> None:
    """Small letters in four columns."""
    for left in range(60, sheet.shape[1] - 400, 420):
        written(sheet[:, left : left + 380], rng, 0.8, 34, 1)


def written(sheet: Sheet, rng: np.random.Generator, size: float, apart: int, thick: int) -> None:
    """Fill with words of random letters."""
    font = cv2.FONT_HERSHEY_DUPLEX
    for row in range(apart, sheet.shape[0], apart):
        column = 8
        while column < sheet.shape[1]:
            word = "".join(chr(97 + letter) for letter in rng.integers(0, 26, rng.integers(2, 9)))
            part = np.ascontiguousarray(sheet)
            cv2.putText(part, word, (column, row), font, size, 30, thick, cv2.LINE_AA)
            sheet[:] = part
            column += cv2.getTextSize(word, font, size, thick)[0][0] + int(14 * size)


def table(sheet: Sheet, rng: np.random.Generator) -> None:
    """Ruled thinly, and filled in."""
    written(sheet, rng, 0.8, 44, 1)
    sheet[16::44], sheet[17::44], sheet[:, 60::200], sheet[:, 61::200] = 76, 76, 76, 76


def music(sheet: Sheet, rng: np.random.Generator) -> None:
    """Staves with notes."""
    for top in range(60, sheet.shape[0] - 100, 200):
        for line in range(5):
            sheet[top + 22 * line : top + 22 * line + 2] = 51
        for column in range(60, sheet.shape[1] - 60, 60):
            centre = column, top + int(rng.integers(0, 88))
            cv2.ellipse(sheet, centre, (13, 9), -20, 0, 360, 25, -1)


def barcode(sheet: Sheet, rng: np.random.Generator) -> None:
    """Bars across the whole sheet."""
    row = 60
    while row < sheet.shape[0] - 60:
        thick, gap = rng.integers(6, 30, 2)
        sheet[row : row + thick, 100:-100] = 25
        row += int(thick + gap)


def bricks(sheet: Sheet, rng: np.random.Generator) -> None:
    """A wall."""
    sheet[:] = 190
    for course, top in enumerate(range(0, sheet.shape[0], 40)):
        for left in range(-60 * (course % 2), sheet.shape[1], 120):
            shade = int(rng.integers(90, 115))
            cv2.rectangle(sheet, (left + 4, top + 4), (left + 114, top + 34), shade, -1)


def keys(sheet: Sheet, rng: np.random.Generator) -> None:
    """A keyboard."""
    sheet[:] = 38
    for top, left in product(range(10, sheet.shape[0], 110), range(10, sheet.shape[1], 100)):
        cv2.rectangle(sheet, (left, top), (left + 84, top + 92), 76, -1)
        name = chr(65 + rng.integers(26))
        cv2.putText(sheet, name, (left + 20, top + 60), cv2.FONT_HERSHEY_DUPLEX, 1.4, 230, 3)


SHEETS = {f.__name__: f for f in (letters, news, table, music, barcode, bricks, keys)}

if __name__ == "__main__":
    main()
