"""Selects x264's and x265's assembly code for this processor: some of it has bugs."""

import platform
from functools import cache

_AVX2 = 11  # OpenCV's CV_CPU_AVX2
_NARROW = 64  # pixels; 56 and more were clean under valgrind


@cache
def x264_assembly() -> str:
    """Settings that make x264 give the same bytes each time; empty where none is needed.

    The AVX-512 code for B-frames in PyAV 18.1's x264 reads memory that it has not written: five
    streams in five runs; the AVX2 code gives the same stream each time, and as fast.
    """
    import cv2

    if platform.machine() not in ("x86_64", "AMD64"):
        return ""
    return "asm=AVX2" if cv2.checkHardwareSupport(_AVX2) else "asm=SSE4.2"


def x265_assembly(width: int) -> tuple[str, ...]:
    """The parameters that keep x265 from writing beyond its memory, for pictures of a width.

    The AVX2 code of its look-ahead (cuTree) overruns rows of few blocks: pictures 40 and 48 pixels
    wide corrupted the heap of PyAV 18.1's x265. So small, they are coded as fast without.
    """
    return ("asm=0",) if width < _NARROW else ()
