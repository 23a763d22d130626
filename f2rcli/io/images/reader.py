"""Reading numbered pictures as a clip."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from f2rcli.errors import InputError
from f2rcli.frames import ClipInfo, Frame
from f2rcli.io.base import Ledger, Reader, ReadOptions
from f2rcli.io.ffmpeg.colour import ColourTags, choose_matrix, full_range, picture_facts, siting
from f2rcli.io.ffmpeg.metadata import SourceMetadata
from f2rcli.io.ffmpeg.pixel_formats import read_planes
from f2rcli.io.images.codec import decode_picture
from f2rcli.io.images.files import PICTURES, find_slots, picture_size
from f2rcli.io.numbering import Slot
from f2rcli.io.time_range import Span, stretch, trailing

RATE = Fraction(25)  # pictures say nothing of time


class SequenceReader(Reader):
    """A folder, pattern or single file of still pictures, 25 to the second."""

    def __init__(self, source: str, options: ReadOptions) -> None:
        self.source = Path(source)
        self.options = options
        self.ledger = Ledger()
        self.every = every = find_slots(source)
        _check_sizes(every)
        places = stretch(len(every), Span.of(options), RATE)
        self.slots = every[places.start : places.stop]
        self.first = places.start
        if not self.slots:
            raise InputError(
                f"{self.source.name}: has only {len(every)} pictures, "
                f"{float(len(every) / RATE)} s.",
                hint="Pass an earlier --start.",
            )
        self.info = self._info(self._first())

    def _first(self) -> av.VideoFrame:
        """The first picture that can be decoded. Raises the first one's error for none."""
        refused: InputError | None = None
        for slot in self.slots:
            if not slot.exists:
                continue
            try:
                return decode_picture(slot.path)
            except InputError as error:
                refused = refused or error
                if self.options.strict:
                    break
        raise refused or InputError(f"{self.source.name}: holds no pictures.")

    def _info(self, picture: av.VideoFrame) -> ClipInfo:
        facts = picture_facts(picture)
        tags = ColourTags(
            primaries=int(picture.color_primaries),
            transfer=int(picture.color_trc),
            matrix=int(picture.colorspace),
            range=2 if "yuvj" in picture.format.name else int(picture.color_range),
            chroma_location=facts.chroma_location,
        )
        form, _ = read_planes(picture)
        matrix, note = choose_matrix(tags, form.family, picture.height)
        self.metadata = SourceMetadata(
            family=PICTURES.get(self.slots[0].path.suffix.lower(), "png"),
            pix_fmt=picture.format.name,
            pixel_aspect=facts.pixel_aspect,
            colour=tags,
            facts=facts,
        )
        notes = [note] if note else []
        if len(self.slots) > 1:
            notes.append(f"pictures carry no time; {RATE} frames/s assumed")
        return ClipInfo(
            name=self.source.name,
            width=picture.width,
            height=picture.height,
            layout=form.layout(
                full_range=full_range(tags, form.family), matrix=matrix, siting=siting(tags)
            ),
            frames=len(self.slots),
            duration=float(len(self.slots) / RATE),
            rate=RATE,
            time_base=1 / RATE,
            interlaced=self.options.fields == "on",
            notes=tuple(notes),
        )

    def __iter__(self) -> Iterator[Frame]:
        """Yield the pictures; one that is missing or damaged is held, or raises if strict."""
        yield from self._around(max(0, self.first - self.options.lead), self.first)
        before: Frame | None = None
        for number, slot in enumerate(self.slots):
            frame = self._frame(slot)
            if frame is None:
                self.ledger.held += 1
                before = before or self._blank()
            else:
                before = frame
            yield Frame(
                planes=before.planes, layout=before.layout, pts=number, duration=1,
                time_base=1 / RATE, held=frame is None, source=slot.path,
                index=self.first + number,
            )  # fmt: skip
        assert before is not None  # there are slots
        after = self._around(self.first + len(self.slots), len(self.every))
        yield from trailing(after, before, self.options.trail)

    def opening(self) -> Iterator[Frame]:
        """See Reader."""
        return self._around(0, len(self.every) if self.first else 0)

    def _around(self, start: int, stop: int) -> Iterator[Frame]:
        """Pictures of the whole clip that are not to be written; those that are not whole are
        left out."""
        for place in range(start, stop):
            frame = self._frame(self.every[place], needed=False)
            if frame is not None:
                yield replace(
                    frame, pts=place - self.first, time_base=1 / RATE, context=True, index=place
                )

    def _frame(self, slot: Slot, *, needed: bool = True) -> Frame | None:
        try:
            if not slot.exists:
                raise InputError(f"{slot.path.name}: is missing.")
            picture = decode_picture(slot.path)
        except InputError as error:
            if needed and self.options.strict:
                raise
            if needed:
                self.ledger.fault(str(error))
            return None
        form, planes = read_planes(picture)
        own = self.info.layout
        layout = form.layout(full_range=own.full_range, matrix=own.matrix, siting=own.siting)
        if (picture.width, picture.height) != (self.info.width, self.info.height):
            raise _size_error(slot, (picture.width, picture.height), self.info)
        if layout != own:
            raise InputError(
                f"{slot.path.name}: is {form.name}, the pictures before are "
                f"{self.metadata.pix_fmt}.",
                hint="Convert them to one pixel format first.",
            )
        return Frame(planes=planes, layout=own)

    def _blank(self) -> Frame:
        """The first picture that can be decoded, for damaged ones before it."""
        _, planes = read_planes(self._first())
        return Frame(planes=planes, layout=self.info.layout)

    def describe(self) -> list[dict[str, Any]]:
        """One dict: a sequence is one stream."""
        return [
            {
                "index": 0, "kind": "video", "codec": self.metadata.family, "denoised": True,
                "width": self.info.width, "height": self.info.height, "frames": len(self.slots),
                "pixel_format": self.metadata.pix_fmt, "bits": self.info.layout.bits,
                "first": self.slots[0].path.name, "last": self.slots[-1].path.name,
            }
        ]  # fmt: skip

    def paths(self) -> list[Path]:
        """Every picture that is read."""
        return [slot.path for slot in self.slots if slot.exists]

    def close(self) -> None:
        """Nothing stays open between pictures."""


def _check_sizes(slots: list[Slot]) -> None:
    """Refuse pictures of several sizes before any work, by their headers."""
    first: tuple[Slot, tuple[int, int]] | None = None
    for slot in slots:
        size = picture_size(slot.path) if slot.exists else None
        if size is None:
            continue
        first = first or (slot, size)
        if size != first[1]:
            raise InputError(
                f"{slot.path.name}: is {size[0]}x{size[1]}, {first[0].path.name} is "
                f"{first[1][0]}x{first[1][1]}.",
                hint="A clip has one size: denoise the parts on their own.",
            )


def _size_error(slot: Slot, size: tuple[int, int], info: ClipInfo) -> InputError:
    return InputError(
        f"{slot.path.name}: is {size[0]}x{size[1]}, the pictures before are "
        f"{info.width}x{info.height}.",
        hint="A clip has one size: denoise the parts on their own.",
    )
