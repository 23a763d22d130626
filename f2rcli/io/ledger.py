"""The damage ledger: what a clip promised, what of it was read, and what was wrong with it."""

from dataclasses import dataclass, field
from typing import Literal

from f2rcli.errors import InputError
from f2rcli.frames import Frame
from f2rcli.units import count

Unit = Literal["frame", "picture", "page", "byte", "chunk", "file"]
_HINT = "With strict=False what can be read is denoised."
_MOST_FAULTS = 20


@dataclass(slots=True)
class Ledger:
    """Damage and remarks about the input, collected while it is read.

    Every promise of a file that is not kept goes through `promised`, so that promised is always
    read plus reported.
    """

    name: str = ""  # of the clip, for errors
    strict: bool = False  # damage raises InputError at once
    corrupt: int = 0  # frames decoded with errors
    held: int = 0  # frames that could not be decoded; the one before stands in for each
    missing_frames: int = 0  # frames that the file promises beyond those read
    faults: list[str] = field(default_factory=list)  # damage, in words
    remarks: list[str] = field(default_factory=list)  # worth saying, not damage

    @property
    def damaged(self) -> bool:
        """Whether the input had damage that the output carries."""
        return bool(self.corrupt or self.held or self.missing_frames or self.faults)

    def promised(
        self, by: str, promised: int, read: int, unit: Unit = "frame", *, detail: str = ""
    ) -> None:
        """Record a promise and what was read of it; nothing where it was kept.

        by: who promises, "its index". detail: more about what is missing.
        Raises InputError if strict.
        """
        if promised <= read:
            return
        if unit in ("frame", "picture"):
            self.missing_frames += promised - read
        more = f": {detail}" if detail else ""
        were = "was" if read == 1 else "were"
        self.fault(f"{by} promises {count(promised, unit)}, {read} {were} read{more}")

    def promised_time(self, by: str, promised: float, read: float, frames: int) -> None:
        """Record a promise in seconds, about `frames` missing at the end. Raises InputError if
        strict."""
        self.missing_frames += frames
        about = f"about {count(frames)} missing at the end"
        self.fault(f"{by} promises {promised:.2f} s, {read:.2f} s were read: {about}")

    def fault(self, line: str) -> None:
        """Record damage in words; only the first twenty lines are kept. Raises if strict."""
        if self.strict:
            raise InputError(f"{self.name}: damaged: {line}.", hint=_HINT)
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(line)

    def remark(self, line: str) -> None:
        """Record a remark, once."""
        if line not in self.remarks:
            self.remarks.append(line)

    def forgive(self, frame: Frame) -> None:
        """Discount the damage of a frame that will not be in the output."""
        self.corrupt -= frame.corrupt
        self.held -= frame.held

    def clear(self) -> None:
        """Delete all entries."""
        self.corrupt = self.held = self.missing_frames = 0
        self.faults.clear()
        self.remarks.clear()

    def lines(self) -> list[str]:
        """The ledger as lines of text."""
        return self.damage() + self.remarks

    def damage(self) -> list[str]:
        """What is damaged, as lines of text."""
        counts = []
        if self.corrupt:
            counts.append(f"{count(self.corrupt)} decoded with errors")
        if self.held:
            counts.append(f"{count(self.held)} could not be decoded; the frame before is held")
        return counts + self.faults
