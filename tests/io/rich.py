"""A clip with everything beside the picture that Matroska holds."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.stream import Disposition

SRT = b"a subtitle"


def write_rich(plain: Path, path: Path) -> Path:
    """An mkv with two audio tracks, subtitles, a font, cover art, chapters and tags."""
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        target.metadata.update({"title": "A clip", "artist": "Somebody", "x_custom": "kept?"})
        target.set_chapters(
            [
                {"id": n, "start": 400 * n, "end": 400 * (n + 1), "time_base": Fraction(1, 1000),
                 "metadata": {"title": f"Part {n}"}}
                for n in range(2)
            ]
        )  # fmt: skip
        video = target.add_stream_from_template(source.streams.video[0], opaque=True)
        video.metadata["title"] = "Main picture"
        sounds = []
        for language, title in (("eng", "Original"), ("fra", "Commentaire")):
            sound = target.add_stream_from_template(source.streams.audio[0])
            sound.metadata.update({"language": language, "title": title})
            sound.disposition = Disposition.default if language == "eng" else Disposition.comment
            sounds.append(sound)
        text = target.add_mux_stream("subrip", time_base=Fraction(1, 1000))
        text.metadata["language"] = "deu"
        text.disposition = Disposition.forced
        target.add_attachment("font.ttf", "font/ttf", b"not really a font" * 20)
        target.add_attachment("cover.png", "image/png", png())
        for packet in source.demux():
            if not packet.size:
                continue
            if packet.stream.type == "video":
                packet.stream = video
                target.mux(packet)
            elif packet.stream.type == "audio":
                target.mux([again(packet, sound) for sound in sounds])
        line = av.Packet(SRT)
        line.pts = line.dts = 100
        line.duration, line.time_base, line.stream = 300, Fraction(1, 1000), text
        target.mux(line)
    return path


def again(packet: av.Packet, stream: Any) -> av.Packet:
    """A packet once more, for a stream."""
    copy = av.Packet(bytes(packet))
    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
    copy.time_base, copy.stream = packet.time_base, stream
    copy.is_keyframe = packet.is_keyframe
    return copy


def png() -> bytes:
    return cv2.imencode(".png", np.zeros((16, 16, 3), np.uint8))[1].tobytes()
