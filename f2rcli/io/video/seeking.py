"""Going to another place of a clip, at a key frame that is sound and not too late."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import av

from f2rcli.errors import InputError
from f2rcli.io.video.decoder import DecodedPicture, Decoder, SidePackets
from f2rcli.io.video.probe import Probe
from f2rcli.io.video.source import ffmpeg_reason, is_cover

_MARGINS = (0, 2, 10)  # seconds before the place that are tried one after the other


@dataclass(eq=False)
class Seeker:
    """The pictures of a clip from where it stands, and the way to other places."""

    name: str
    decoder: Decoder
    side: SidePackets
    probe: Probe
    ahead: list[DecodedPicture]  # decoded already; each is released when it is taken

    def pictures(self) -> Iterator[DecodedPicture]:
        """Decode the pictures from here to the end."""
        return chain(self._taken(), self.decoder)

    def _taken(self) -> Iterator[DecodedPicture]:
        self.ahead.reverse()
        while self.ahead:
            yield self.ahead.pop()

    def seek(self, ticks: int) -> bool:
        """Go to a key frame so far behind the first picture, or before that; whether that is the
        very beginning.

        Transport streams find times only roughly, so what comes after a seek is looked at.
        """
        first, ledger = self.probe.first_pts, self.decoder.ledger
        target = first + ticks
        if target <= first and self.ahead:  # where one is
            return True
        covers = [packet for packet in self.side.queue if is_cover(packet.stream)]
        ledger.clear()  # of what lies before the excerpt that is asked for
        for margin in _MARGINS:
            place = target - round(margin / self.probe.time_base)
            if place > first and self._seek_to(place, target):
                break
            ledger.clear()
        else:
            self._rewind()
            target = first
        self.side.queue.extendleft(covers)
        return target == first

    def _seek_to(self, place: int, target: int) -> bool:
        """Seek; whether a sound key frame at or before `target` follows."""
        picture = self._sought(place)
        if picture is None or picture.frame is None or picture.pts is None:
            return False
        return picture.pts <= target and picture.frame.key_frame and not picture.corrupt

    def _sought(self, place: int) -> DecodedPicture | None:
        """Seek; the picture that follows, which is the next to be taken."""
        try:
            self.decoder.container.seek(place, stream=self.decoder.stream)
        except av.FFmpegError:
            return None
        self.side.queue.clear()
        self.decoder.restart()
        picture = next(iter(self.decoder), None)
        if picture is not None and picture.frame is not None:
            self.ahead = [picture]
        return picture

    def _rewind(self) -> None:
        """Go back to the first picture by time, else to the first byte; Matroska and AVI do not
        move on a byte seek."""
        first, container = self.probe.first_pts, self.decoder.container
        picture = self._sought(first)
        if picture is not None and picture.frame and picture.pts == first:
            return
        self.ahead = []
        self.side.queue.clear()
        try:
            container.seek(0, unsupported_byte_offset=True)
        except av.FFmpegError:
            try:
                container.seek(first, stream=self.decoder.stream)
            except av.FFmpegError as error:
                raise InputError(
                    f"{self.name}: is not seekable ({ffmpeg_reason(error)}).",
                    hint="Leave out start=.",
                ) from error
        self.decoder.restart()
