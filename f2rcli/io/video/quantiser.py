"""A codec's quantiser: of every picture, where the decoder exports it (H.264, MPEG-1, -2 and -4),
or of the first ones as their headers state it (H.265, VP9, AV1)."""

import re
from itertools import islice
from statistics import median

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.sidedata.sidedata import Type

from f2rcli.io.video.colour import side_data

# For a decoder's options: every picture comes with AVVideoEncParams among its side data.
EXPORTED = {"export_side_data": "venc_params"}
_HEADER = np.dtype(
    {
        "names": ["blocks", "start", "size", "kind", "quantiser"],
        "formats": ["u4", "u8", "u8", "i4", "i4"],
        "offsets": [0, 8, 16, 24, 28],  # as 64-bit machines align the struct
    }
)
_DELTA = 16  # bytes into a block's record, where it says by how much its own quantiser differs
_H264, _MPEG = 1, 2  # of AVVideoEncParamsType

HEADERS = ("hevc", "vp9", "av1")  # families of codecs whose headers are read
_PACKETS = 16
OF_HEADER = 0.5  # of a header's step is what encoders make of it block by block, or less
_FIELD = re.compile(r"\b(init_qp_minus26|slice_qp_delta|base_q_idx)\s+\S+ = (-?\d+)")
# The step of VP9 and AV1 by quantiser index, eight times that of 8-bit pictures, at some of 256
# places (ac_qlookup and Ac_Qlookup); nearly straight in the logarithm between them.
_INDEX = (1, 25, 50, 95, 120, 150, 188, 219, 244, 255)
_EIGHTFOLD = (8, 32, 57, 102, 152, 255, 510, 915, 1479, 1828)


def step8(frame: av.VideoFrame, bits: int) -> float:
    """The root mean square, over the blocks of a picture of so many bits, of the step by which its
    transform was rounded, in units of 1/255 of the range of codes; 0 where nobody says."""
    for data in side_data(frame, Type.VIDEO_ENC_PARAMS):
        return _step(data) * 2.0 ** (8 - bits)
    return 0.0


def _step(data: bytes) -> float:
    """In the picture's own codes; 0 for what is not understood."""
    if len(data) < _HEADER.itemsize:
        return 0.0
    head = np.frombuffer(data, _HEADER, 1)[0]
    count, start, size = (int(head[name]) for name in ("blocks", "start", "size"))
    if size < _DELTA + 4 or start + count * size > len(data):
        return 0.0
    blocks = np.frombuffer(data, np.uint8, count * size, start).reshape(count, size)
    deltas = blocks[:, _DELTA : _DELTA + 4].copy().view(np.int32)
    values = int(head["quantiser"]) + (deltas.astype(np.float64) if count else np.zeros(1))
    # H.264 doubles the step every six values, and is 1 at 4 (ITU-T H.264, 8.5.9); MPEG's value is
    # the step of a weight of 16, as FFmpeg exports it.
    steps = {_H264: 2 ** ((values - 4) / 6), _MPEG: values}.get(int(head["kind"]))
    return 0.0 if steps is None else float(np.sqrt(np.mean(np.square(steps))))


def first_steps8(container: InputContainer, stream: av.VideoStream) -> tuple[float, float]:
    """The median steps of the first key frames of a stream and of its other first pictures, by
    headers; 0 where they do not say.

    container: at its beginning; packets are read from it.
    """
    level = av.logging.get_level()
    lines: tuple[list[str], list[str]] = ([], [])
    try:
        with av.logging.Capture() as captured:
            av.logging.set_level(av.logging.INFO)
            headers = BitStreamFilterContext("trace_headers", stream)
            for packet in islice(container.demux(stream), _PACKETS):
                if packet.size:
                    captured.clear()
                    group = lines[not packet.is_keyframe]
                    headers.filter(packet)  # takes the packet away
                    group.extend(line for _, _, line in captured)
    except (av.FFmpegError, OSError, ValueError):
        return 0.0, 0.0  # damage is the decoder's to report
    finally:
        av.logging.set_level(level)
    key, other = map(stated, lines)
    return key, other or key


def stated(lines: list[str]) -> float:
    """The median step that lines of FFmpeg's `trace_headers` state, times OF_HEADER; 0: none do."""
    steps, whole = [], 26
    for line in lines:
        found = _FIELD.search(line)
        if found is None:
            continue
        name, value = found[1], int(found[2])
        if name == "init_qp_minus26":
            whole = 26 + value
        elif name == "slice_qp_delta":
            steps.append(2 ** ((whole + value - 4) / 6))
        else:
            steps.append(float(np.exp(np.interp(value, _INDEX, np.log(_EIGHTFOLD)))) / 8)
    return OF_HEADER * median(steps) if steps else 0.0
