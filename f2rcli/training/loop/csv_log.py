"""Training logs: a CSV, sample pictures, and TensorBoard where it is installed."""

import csv
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.errors import OutputError
from f2rcli.io.atomic import write_text


class Row(NamedTuple):
    """A line of the CSV. What was not measured is empty."""

    step: int
    seconds: float  # of training, over all sessions
    lr: float
    loss: float | None = None  # mean since the row before, like the norm
    norm: float | None = None  # of the gradient, before clipping
    validation: float | None = None
    setbacks: int = 0  # of the run so far


class CsvLog:
    """`STAGE.csv`, `STAGE.samples/STEP.png` and `tensorboard/STAGE` in a run folder.

    A run that goes on at some step loses the rows after it, which it is about to write again.
    """

    def __init__(self, folder: Path, stage: str, step: int) -> None:
        self.path = folder / f"{stage}.csv"
        self.pictures = folder / f"{stage}.samples"
        self._board = _tensorboard(folder / "tensorboard" / stage, step)
        self.forget_after(step)

    def forget_after(self, step: int) -> None:
        """Drop the rows of later steps, and a last one that was cut short."""
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        lines = text.splitlines(keepends=True)
        kept = [",".join(Row._fields) + "\n", *(line for line in lines if _step(line) <= step)]
        write_text(self.path, "".join(kept))

    def add(self, row: Row) -> None:
        """Append a row."""
        try:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                cells = ["" if value is None else f"{value:.9g}" for value in row]
                csv.writer(file, lineterminator="\n").writerow(cells)
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot write ({error.strerror}).",
                hint="Free some space; resume=True continues from the last checkpoint.",
            ) from error
        if self._board is not None:
            for name, value in row._asdict().items():
                if name != "step" and value is not None:
                    self._board.add_scalar(name, value, row.step)

    def picture(self, step: int, picture: NDArray[np.uint8]) -> Path:
        """Write a sample, (H, W, 3) RGB."""
        self.pictures.mkdir(exist_ok=True)
        path = self.pictures / f"{step:08d}.png"
        done, encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        if not done:
            raise OutputError(
                f"{path}: the sample could not be encoded.",
                hint="f2r doctor shows whether OpenCV works.",
            )
        path.write_bytes(encoded.tobytes())
        if self._board is not None:
            self._board.add_image("sample", picture, step, dataformats="HWC")
        return path

    def close(self) -> None:
        """Let TensorBoard write what it holds back."""
        if self._board is not None:
            self._board.close()


def _step(line: str) -> float:
    """The step of a whole row; infinity for what is not one."""
    cells = line.split(",")
    whole = line.endswith("\n") and len(cells) == len(Row._fields) and cells[0].isdigit()
    return int(cells[0]) if whole else float("inf")


def _tensorboard(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:  # not installed, or not with what it needs
        return None
    writer: Any = SummaryWriter  # not annotated
    return writer(str(folder), purge_step=step + 1)
