"""An engine for frames that are made; without pytest, which benchmarks have no use for."""

from fractions import Fraction

from f2rcli.engine.stream import Engine, EngineSettings, load_engine
from f2rcli.frames import ClipInfo, Frame


def info_of(frames: list[Frame], *, interlaced: bool = False) -> ClipInfo:
    first = frames[0]
    return ClipInfo(
        name="synthetic", width=first.width, height=first.height, layout=first.layout,
        frames=len(frames), duration=None, rate=Fraction(25), time_base=first.time_base,
        interlaced=interlaced,
    )  # fmt: skip


def engine_for(frames: list[Frame], *, interlaced: bool = False, **settings: object) -> Engine:
    return load_engine(EngineSettings(**settings), info_of(frames, interlaced=interlaced))  # type: ignore[arg-type]
