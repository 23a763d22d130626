"""The axes of ScanImage's files, which list their pages one after another.

Channels alternate page by page; then come the frames of a slice, the slices, the volumes.
"""

import re

_CHANNELS = ("SI.hChannels.channelSave", "SI4.channelsSave")
_SWEEP = ("SI.hStackManager.numFramesPerVolumeWithFlyback", "SI.hFastZ.numFramesPerVolume")
_SLICES = ("SI.hStackManager.actualNumSlices", "SI.hStackManager.slicesPerAcq",
           "SI4.stackNumSlices", "state.acq.numberOfZSlices")  # fmt: skip
_FRAMES = ("SI.hStackManager.framesPerSlice", "SI4.acqNumFrames", "state.acq.numberOfFrames")


def header_of(text: str) -> dict[str, str]:
    """Names and values of a header: `state.acq.` of version 3, `SI4.`, `SI.` from 5 on."""
    lines = text.replace("\r", "\n")
    return dict(re.findall(r"(?m)^(?:scanimage\.)?([\w.]+) *= *(.*?)\s*$", lines))


def outer_axes(said: dict[str, str], pages: int) -> dict[str, int]:
    """Letters and sizes of the axes that count so many pages, slowest first."""

    def number(*names: str) -> int:
        """The first of some values that is a number above 0; 1 without one."""
        values = (said.get(name, "") for name in names)
        return next((int(value) for value in values if value.isdecimal() and int(value)), 1)

    def on(*names: str) -> bool:
        return any(said.get(name, "").lower() in ("1", "true") for name in names)

    saved = next((said[name] for name in _CHANNELS if name in said), "")
    channels = len(re.findall(r"\d+", saved)) or number("state.acq.numberOfChannelsSave")
    fast = on("SI.hFastZ.enable", "SI4.fastZEnable")  # a volume per sweep, flyback frames included
    off = "SI.hStackManager.enable" in said and not on("SI.hStackManager.enable") and not fast
    slices = 1 if off else number(*(_SWEEP if fast else ()), *_SLICES)
    frames = 1 if fast or on("state.acq.averaging") else number(*_FRAMES)
    pages //= channels
    if slices == 1 or pages == 0:
        sizes = {"T": pages, "C": channels}
    else:
        frames = min(frames, pages)
        slices = min(slices, pages // frames)
        volumes = pages // (slices * frames)
        sizes = {"Z": slices, "T": frames, "C": channels}
        if volumes > 1:  # Q: has no name
            sizes = {"T": volumes, "Z": slices, "Q": frames, "C": channels}
    return {axis: size for axis, size in sizes.items() if size > 1}
