"""The folder of this user where f2r keeps what it can make again."""

import os
import sys
from pathlib import Path


def cache_folder(name: str) -> Path | None:
    """The user's cache folder for one purpose; None for users without a home (containers)."""
    if os.path.isabs(os.environ.get("XDG_CACHE_HOME", "")):  # others are void, by its standard
        return Path(os.environ["XDG_CACHE_HOME"]) / "f2r" / name
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if not home.is_absolute():
        return None
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home)) / "f2r" / name
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "f2r" / name
    return home / ".cache" / "f2r" / name
