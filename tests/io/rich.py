"""A clip with everything beside the picture that Matroska holds."""

from fractions import Fraction
from pathlib import Path

import av
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
                packet.stream = sounds[0]
                data, times = bytes(packet), (packet.pts, packet.dts, packet.duration)
                base = packet.time_base
                target.mux(packet)
                copy = av.Packet(data)
                copy.pts, copy.dts, copy.duration = times
                copy.time_base, copy.stream = base, sounds[1]
                copy.is_keyframe = True
                target.mux(copy)
        line = av.Packet(SRT)
        line.pts = line.dts = 100
        line.duration, line.time_base, line.stream = 300, Fraction(1, 1000), text
        target.mux(line)
    return path


def png() -> bytes:
    context = av.CodecContext.create("png", "w")
    context.width, context.height, context.pix_fmt = 16, 16, "rgb24"
    context.time_base = Fraction(1, 25)
    picture = av.VideoFrame(16, 16, "rgb24")
    picture.planes[0].update(bytes(picture.planes[0].buffer_size))
    picture.pts = 0
    return b"".join(bytes(p) for p in [*context.encode(picture), *context.encode(None)])
