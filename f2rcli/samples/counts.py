"""Counts of invalid samples, and the notes about them."""

from collections.abc import Sequence
from dataclasses import dataclass

from f2rcli.samples.defects import Kept
from f2rcli.units import count


@dataclass
class SetAside:
    """Counts of samples set aside, over a run."""

    frames: int = 0  # that were looked at
    hit: int = 0  # that held hot or dead samples
    impulses: int = 0  # most in a frame
    repaired: int = 0  # of these, most in a frame
    unreal: int = 0  # in all frames
    fills: int = 0  # in all frames

    def add(self, aside: Sequence[Kept]) -> None:
        """Take in what the planes of a frame held."""
        repaired = sum(one.repaired.size for one in aside)
        impulses = sum(one.impulses.places.size for one in aside)
        unreal = sum(one.unreal for one in aside)
        self.frames += 1
        self.hit += impulses > 0
        self.impulses = max(self.impulses, impulses)
        self.repaired = max(self.repaired, repaired)
        self.unreal += unreal
        self.fills += sum(one.places.size for one in aside) + repaired - impulses - unreal

    def lines(self) -> list[str]:
        """The lines worth saying about it."""
        said = []
        if self.impulses:
            most = ("at most ", " a picture,") if self.hit > 1 else ("", "")
            s = "" if self.impulses == 1 else "s"
            what = f"outlier{s} (hot or dead pixel{s})"
            where = f"in {self.hit} of {self.frames} pictures"
            said.append(f"{most[0]}{self.impulses} {what}{most[1]} {where}: {self._fate}")
        if self.unreal:
            said.append(unreal_line(self.unreal))
        if self.fills:
            said.append(f"fill values in {count(self.fills, 'sample')}: kept as stored")
        return said

    @property
    def _fate(self) -> str:
        """The fate of impulses."""
        if not self.repaired:
            return "kept as stored"
        rest = "" if self.repaired == self.impulses else ", the others kept as stored"
        most = f"at most {self.repaired} a picture" if self.hit > 1 else f"{self.repaired}"
        return f"{most} repaired{rest}"


def unreal_line(number: int) -> str:
    """A note on samples that are not finite."""
    return f"{count(number, 'sample')} not finite (NaN or infinite): kept as stored"
