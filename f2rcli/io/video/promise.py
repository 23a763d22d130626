"""The promises of a video file, compared with what was read: a truncated file ends in silence.

Its index counts frames, its tags and its header state durations, its constant rate says when the
next frame is due.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median

from f2rcli.io.ledger import Ledger
from f2rcli.io.video.decoder import Decoder
from f2rcli.io.video.probe import Probe
from f2rcli.io.video.source import StandardInput
from f2rcli.units import count

_EVEN = ("matroska,webm", "mpegts", "mpeg")  # time stamps and a rate, but no count of frames
# Formats in which nothing says how long they should be: a cut between two frames shows nowhere.
_ENDLESS = {
    "mpegts": "a transport stream", "mpeg": "a program stream", "h264": "an elementary stream",
    "hevc": "an elementary stream", "mpegvideo": "an elementary stream",
}  # fmt: skip
_LEAST = 5  # steps between frames that tell a constant rate
_REGULAR = 0.9  # share of steps that are one frame long, apart from the first two gaps
_NAMED = 3  # gaps listed by their time
_FRAME = b"FRAME\n"  # of y4m


def check_end(ledger: Ledger, probe: Probe, decoder: Decoder, source: StandardInput | Path) -> None:
    """Compare promises of the whole file with what came. Raises InputError if strict."""
    form = probe.container.format.name
    _check_count(ledger, form, source, decoder)
    if decoder.hidden:
        hides = f"its edit list hides {count(decoder.hidden)}: no player shows them, and f2r reads"
        ledger.remark(f"{hides} none of them")
    if form in _ENDLESS:
        what, last = _ENDLESS[form], float(decoder.reached - probe.first_time)
        ledger.remark(f"{what} does not say where it ends: more may be missing after {last:.2f} s")
    counted = probe.counted()
    if counted:
        ledger.promised("its index", counted, decoder.packets)
        return
    start, rough = probe.first_time, max(2 * _step(probe), Fraction(1, 10))
    own = probe.lasting()
    if own is not None:
        slack = _step(probe) / 2 if "matroska" in form else rough
        _check_time(ledger, "its video stream", own, decoder.reached - start, probe, slack)
    elif (end := probe.promised_end()) is not None:
        _check_time(ledger, "its header", end - start, decoder.newest - start, probe, rough)


def _check_count(ledger: Ledger, form: str, source: StandardInput | Path, decoder: Decoder) -> None:
    """Compare frames with those that a whole file of its kind has, where FFmpeg does not say."""
    if isinstance(source, Path):
        if form not in ("yuv4mpegpipe", "apng", "gif") or not source.is_file():
            return
        with source.open("rb") as file:
            head, size = file.read(StandardInput.HEAD), file.seek(0, 2)
            file.seek(-min(size, 64), 2)
            tail = file.read().rstrip(b"\0")
        if form == "gif" and not tail.endswith(b";"):
            ledger.fault("its trailer is missing: the file breaks off, and frames may be missing")
    else:
        head, size = source.head, source.size
    begin = head.find(b"\n") + 1
    if form == "yuv4mpegpipe" and head.startswith(_FRAME, begin):  # without parameters of frames
        each = len(_FRAME) + decoder.packet_size
        ledger.promised("its size", -(-(size - begin) // each), decoder.packets)
    place = head.find(b"acTL")
    if form == "apng" and place > 0:
        stated = int.from_bytes(head[place + 4 : place + 8], "big")
        ledger.promised("its header", stated, decoder.packets)


def _step(probe: Probe) -> Fraction:
    return probe.step * probe.time_base


def _check_time(
    ledger: Ledger, by: str, promised: Fraction, read: Fraction, probe: Probe, slack: Fraction
) -> None:
    missing = promised - read
    if missing > slack + 2 * probe.time_base:
        frames = max(1, round(missing / _step(probe)))
        ledger.promised_time(by, float(promised), float(read), frames)


def check_gaps(ledger: Ledger, probe: Probe, stamps: Sequence[int]) -> None:
    """Compare increasing `stamps` (pts in ticks) with the clip's constant rate, if any. Raises
    InputError if strict."""
    if probe.untimed or probe.container.format.name not in _EVEN:
        return
    gaps = gaps_in(stamps, probe.step)
    if gaps:
        places = ", ".join(f"{float(pts * probe.time_base):.2f}" for pts, _ in gaps[:_NAMED])
        more = f" and {len(gaps) - _NAMED} more" if len(gaps) > _NAMED else ""
        missing = sum(frames for _, frames in gaps)
        ledger.promised(
            "its constant rate", len(stamps) + missing, len(stamps),
            detail=f"gaps after {places} s{more}",
        )  # fmt: skip


def gaps_in(stamps: Sequence[int], step: int) -> list[tuple[int, int]]:
    """The pts before each gap and its number of missing frames; none at a variable rate. step:
    ticks per frame."""
    steps = [b - a for a, b in pairwise(stamps)]
    if len(steps) < _LEAST or abs(median(steps) - step) > max(1, step // 50):
        return []
    gaps = []
    for pts, length in zip(stamps, steps, strict=False):
        frames = round(length / step)
        if abs(length - frames * step) > max(1, frames * step // 20):
            return []
        if frames > 1:
            gaps.append((pts, frames - 1))
    few = len(gaps) <= max(2, (1 - _REGULAR) * len(steps))
    short = sum(frames for _, frames in gaps) <= max(2, len(stamps) // 2)
    return gaps if few and short else []
