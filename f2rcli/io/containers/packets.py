"""Packets of the streams beside the video, on their way from the reader to the writer."""

from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from av.packet import Packet
from av.stream import Stream

AnyPacket: TypeAlias = "Packet[Stream]"  # in quotes: generic in PyAV's stubs only


def shown_at(packet: AnyPacket) -> int | None:
    """When a packet is shown, in ticks; its decoding time where the container has no other."""
    return packet.dts if packet.pts is None else packet.pts


@dataclass(slots=True)
class SidePackets:
    """The queue between a video reader and a video writer, and the excerpt they agree on.

    Until iterating begins every packet is queued; from then on only for a writer that has set
    `wanted`, and takes packets out as it goes.
    """

    queue: deque[AnyPacket] = field(default_factory=deque)
    wanted: bool | None = None  # None: not yet known
    start: Fraction | None = None  # seconds, container time, of an excerpt's first frame
    end: Fraction | None = None  # seconds, container time; None: read to the end
    shift: Fraction = Fraction(0)  # seconds by which an excerpt moves, to begin as its source did

    def add(self, packet: AnyPacket) -> None:
        """Queue a packet, or drop it where no writer wants it."""
        if self.wanted is not False:
            self.queue.append(packet)

    def begin(self) -> None:
        """Called before the first frame: drop packets that no writer has asked for."""
        if not self.wanted:
            self.wanted = False
            self.queue.clear()
