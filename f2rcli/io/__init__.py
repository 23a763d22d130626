"""Reading and writing clips, in the format that a source or target asks for.

A format is a module or folder here whose name stands in `formats.READ`. It has

- `open_reader(source, options)`: a Reader; raises InputError,
- `plan_output(reader, target, options)`: a WritePlan, what writing would do; touches nothing,
- `open_writer(reader, plan)`: a Writer of what was planned,
- `default_target(source)`: the target for a source that is denoised without `-o`,
- `holds(folder)`, where more than suffixes of its files tells that a folder is a clip of it; the
  first format is taken.
"""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from f2rcli.errors import InputError, UsageError
from f2rcli.io import formats
from f2rcli.io.base import Reader, ReadOptions, Receipt, WriteOptions, WritePlan, Writer
from f2rcli.io.files import with_a_name
from f2rcli.io.numbering import files_of

__all__ = ["ReadOptions", "Reader", "Receipt", "WriteOptions", "WritePlan", "default_target",
           "is_clip", "open_reader", "open_writer", "plan_output", "unmarked_name"]  # fmt: skip


def open_reader(source: str | Path, options: ReadOptions | None = None) -> Reader:
    """Open a clip: a file, a folder or pattern of pictures, or "-". Raises InputError."""
    source = with_a_name(source)
    path, options = Path(source), options or ReadOptions()
    way = formats.UNREAD.get(path.suffix.lower())
    if way is not None and path.is_file():
        what = f"{path.name}: f2r does not read {path.suffix.upper()[1:]} files."
        raise InputError(what, hint=way)
    name = _source_format(str(source))
    for option in ("axes", "series"):
        value = getattr(options, option)
        if value is not None and name != "stacks":
            raise UsageError(
                f"{option}={value!r}: {path.name} is not a stack.", hint="Leave it out."
            )
    return _format(name).open_reader(str(source), options)


def plan_output(
    reader: Reader, target: str | Path, options: WriteOptions | None = None
) -> WritePlan:
    """What writing `reader` to `target` would do, untouched. Raises UsageError, OutputError."""
    target, options = str(with_a_name(target)), options or WriteOptions()
    plan: WritePlan = _target_format(target, reader).plan_output(reader, target, options)
    return replace(plan, overwrite=options.overwrite)


def open_writer(reader: Reader, plan: WritePlan) -> Writer:
    """Open what was planned. Leaving it without `finish()` leaves nothing behind."""
    return _target_format(plan.target, reader).open_writer(reader, plan)


def default_target(source: str | Path, codec: str | None = None) -> Path:
    """The target without `-o`: `clip_f2r.mp4` beside `clip.mp4`, of a container that holds the
    codec, "-" for "-"."""
    if str(source) == "-":
        return Path("-")
    source = with_a_name(source)
    kind = _format(_source_format(str(source)))
    target = Path(kind.default_target(Path(source)))
    return kind.holder(target, codec) if codec and hasattr(kind, "holder") else target


def unmarked_name(source: str | Path, codec: str | None = None) -> str:
    """The same target's name in a folder of results: `clip.mp4`."""
    return "".join(default_target(source, codec).name.rsplit("_f2r", 1))


def is_clip(folder: Path) -> bool:
    """Whether a folder is one clip: a format reads it as a whole and it holds no other clip.

    Beside pictures any other readable file makes it a folder of clips; beside a burst of raw files
    or pages of a stack a video does, while pictures are their previews. Raises OSError.
    """
    name = _source_format(str(folder))
    if name == "video":  # which claims everything
        return False
    loose = name == "pictures"
    others = formats.READABLE - formats.READ[name] if loose else formats.VIDEOS
    return not any(files_of(folder, others))


def _format(name: str) -> Any:
    return import_module(f"{__name__}.{name}")


def _source_format(source: str) -> str:
    """The name of the format that reads a file or pattern, by its suffix, or a folder."""
    path = Path(source)
    if path.is_dir():
        for name, suffixes in formats.READ.items():
            holds = getattr(_format(name), "holds", None)
            if any(files_of(path, suffixes)) if holds is None else holds(path):
                return name
        return "video"
    suffix = path.suffix.lower()
    return next((name for name, known in formats.READ.items() if suffix in known), "video")


def _target_format(target: str, reader: Reader) -> Any:
    """The format that writes a target: stacks and camera raw stay what they are, of others the
    target's name says it."""
    path, suffix = Path(target), Path(target).suffix.lower()
    folder = target != "-" and (path.is_dir() or target.endswith(("/", "\\")))
    named = suffix in formats.WRITTEN_PICTURES or (reader.format == "pictures" and not suffix)
    if reader.format == "raw" or suffix == ".dng":
        return _format("raw")
    if reader.format == "stacks" or suffix in formats.TARGET_STACKS:
        return _format("stacks")
    return _format("pictures" if target != "-" and (folder or named) else "video")
