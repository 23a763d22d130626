"""Continuous time stamps for recordings whose clock starts again."""

from fractions import Fraction

from av.container import InputContainer

from f2rcli.io.containers.packets import AnyPacket
from f2rcli.io.ledger import Ledger

_MAY_JUMP = ("mpegts", "mpeg")  # FFmpeg's names of formats whose clock may start again
_BACK = Fraction(1, 2)  # seconds; decoding times never run backwards by themselves


class Continuity:
    """Moves packets behind a backward jump so that each stream goes on where it was.

    Transport streams that were joined, or ran over their clock's end, jump so. Forward jumps are
    gaps in time and stay. Streams jump one after the other, hence one move for each; those too
    sparse to tell, such as subtitles, move with the picture.
    """

    def __init__(self, container: InputContainer, picture: int, ledger: Ledger) -> None:
        self.active = container.format.name in _MAY_JUMP
        self.ledger = ledger
        self.picture = picture  # the index of the video stream
        self._moves: dict[int, Fraction] = {}  # seconds, by stream
        self._next: dict[int, Fraction] = {}  # seconds; where each stream should go on

    def mend(self, packet: AnyPacket) -> None:
        """Move a packet's time stamps, in place."""
        if not self.active or not packet.time_base:
            return
        index, base = packet.stream_index, packet.time_base
        dense = packet.stream.type in ("video", "audio")
        move = self._moves.get(index if dense else self.picture, Fraction(0))
        if dense and packet.dts is not None:
            seconds = packet.dts * base + move
            expected = self._next.get(index)
            if expected is not None and seconds < expected - _BACK:
                move += expected - seconds
                self._moves[index], seconds = move, expected
                self.ledger.remark("time stamps jump back; they were joined without a gap")
            self._next[index] = seconds + (packet.duration or 0) * base
        ticks = round(move / base)
        if ticks:
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks

    def restart(self) -> None:
        """Start over, after a seek."""
        self._moves.clear()
        self._next.clear()
