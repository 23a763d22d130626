"""How fast this machine denoises, remembered from run to run: what a wait is told by before it.

Seconds for a megapixel, by what decides it; a file in the user's cache folder. A first run of a
kind has no figure, and says so.
"""

import json
from contextlib import suppress
from pathlib import Path

from f2rcli import __version__
from f2rcli.documents import parse_json, read_text
from f2rcli.engine.settings import EngineSettings
from f2rcli.frames import ClipInfo
from f2rcli.io.atomic import write_text
from f2rcli.system.cache import cache_folder
from f2rcli.system.machine import asked_threads, processors

LEAST = 8  # frames that a run must have had to be believed
KEPT = 64  # kinds of runs


def known_pace(settings: EngineSettings, info: ClipInfo) -> float | None:
    """Seconds per frame that such a run took here; None where there was none."""
    found = _read().get(_key(settings, info))
    return found * _megapixels(info) if isinstance(found, int | float) and found > 0 else None


def remember_pace(
    settings: EngineSettings, info: ClipInfo, frames: int, per_second: float | None
) -> None:
    """Keep what a run took. A folder that cannot be written is no reason to fail."""
    path = _path()
    if frames < LEAST or not per_second or path is None:
        return
    key, value = _key(settings, info), 1 / per_second / _megapixels(info)
    others = [(name, one) for name, one in _read().items() if name != key]
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(dict([*others[1 - KEPT :], (key, value)])))


def _megapixels(info: ClipInfo) -> float:
    return info.width * info.height / 1e6


def _key(settings: EngineSettings, info: ClipInfo) -> str:
    """What decides how long a megapixel takes."""
    kind = info.layout.family.value
    threads = settings.threads or asked_threads() or processors()
    how = (settings.method, settings.weights, settings.ensemble, settings.device)
    return " ".join(map(str, (__version__, kind, *how, settings.precision, settings.tile, threads)))


def _path() -> Path | None:
    folder = cache_folder("pace")
    return None if folder is None else folder / "seconds.json"


def _read() -> dict[str, object]:
    path = _path()
    try:
        found = {} if path is None else parse_json(read_text(path))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
