"""SHA-256 of files and folders."""

import hashlib
from pathlib import Path

from f2rcli.io.numbering import files_of


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(path: Path) -> str:
    """As file_digest; of a folder, SHA-256 of the names and bytes of its files, in order."""
    if path.is_file():
        return file_digest(path)
    whole = hashlib.sha256()
    for file in sorted(files_of(path)):
        whole.update(f"{file.name}\0{file_digest(file)}\n".encode())
    return whole.hexdigest()
