"""Pictures of any kind of array as NumPy arrays, and results as arrays of that kind."""

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from f2rcli.errors import InputError
from f2rcli.frames import Mask, Plane
from f2rcli.io.stacks import check_samples
from f2rcli.samples.impulses import filled


def kind_of(frames: Any) -> str:
    """The library that an object's type comes from."""
    return type(frames).__module__.partition(".")[0]


def is_array(frames: Any) -> bool:
    """Whether something has a shape, samples of a type, and places."""
    return all(hasattr(frames, name) for name in ("shape", "dtype", "__getitem__"))


def no_array(picture: Any) -> InputError:
    """The error for a frame that is not an array."""
    return InputError(
        f"a frame of type {type(picture).__name__}: not an array.",
        hint="Pass NumPy arrays or torch tensors.",
    )


def values_of(picture: Any) -> Plane:
    """A picture's samples as NumPy has them, bfloat16 as float32. Raises InputError for anything
    but intensities."""
    if kind_of(picture) == "torch":
        if str(picture.layout) != "torch.strided" or picture.is_meta:
            what = "without samples" if picture.is_meta else f"of layout {picture.layout}"
            raise InputError(f"a tensor {what}.", hint="Pass a dense one: to_dense().")
        tensor = picture.detach().cpu()
        values = (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
    elif is_array(picture):
        values = np.ma.getdata(picture) if np.ma.isMaskedArray(picture) else np.asarray(picture)
    else:
        raise no_array(picture)
    check_samples(values.dtype, "array")
    return np.ascontiguousarray(values, values.dtype.newbyteorder("="))


def copy_of(picture: Any) -> Any:
    """A copy of the same kind; what cannot be copied (h5py) is no memory of the caller's."""
    if kind_of(picture) == "torch":
        return picture.detach().clone()
    return picture.copy() if hasattr(picture, "copy") else picture


def mask_of(picture: Any) -> Mask | None:
    """The mask of a masked array, True where samples do not count; None without one."""
    if not np.ma.isMaskedArray(picture) or picture.mask is np.ma.nomask:
        return None
    mask: Mask = np.ma.getmaskarray(picture)
    return mask


def unmasked(picture: Plane, mask: Mask | None) -> Plane:
    """The picture (H, W[, S]) with samples of its own mirrored to where the mask is."""
    if mask is None:
        return picture
    if picture.ndim == 2:
        return filled(picture, mask)
    parts = (filled(picture[..., i], mask[..., i]) for i in range(picture.shape[2]))
    return np.stack(list(parts), axis=-1)


def empty_like(frames: Any) -> Any:
    """A new array of the same kind, shape and type, with its mask, chunks and attributes."""
    kind = kind_of(frames)
    if kind == "torch":
        return frames.new_empty(frames.shape)
    if kind == "zarr":
        zarr: Any = importlib.import_module("zarr")
        return zarr.from_array(
            zarr.storage.MemoryStore(), data=frames, write_data=False,
            fill_value=frames.fill_value, attributes=dict(frames.attrs),
        )  # fmt: skip
    out = np.empty(frames.shape, frames.dtype)
    if kind == "xarray":
        return frames.copy(data=out)
    if not np.ma.isMaskedArray(frames):
        return out
    masked = np.ma.array(out, mask=np.ma.getmask(frames).copy())
    if masked.fill_value != frames.fill_value:  # what NumPy takes by itself may not fit the type
        masked.fill_value = frames.fill_value
    return masked


def put(out: Any, place: tuple[Any, ...], values: Plane) -> None:
    """Write values to a place of an array of any kind."""
    if kind_of(out) == "torch":
        import torch

        out[place] = torch.from_numpy(np.ascontiguousarray(values)).to(out.device, out.dtype)
    elif np.ma.isMaskedArray(out):
        np.ma.getdata(out)[place] = values
    elif kind_of(out) == "xarray":
        out.data[place] = values
    else:
        out[place] = values


def is_writable(out: Any) -> bool:
    """Whether an array takes samples, as far as its library tells."""
    if kind_of(out) == "h5py":
        return bool(out.file.mode != "r")
    flags = getattr(out, "flags", None)  # NumPy's
    return not getattr(out, "read_only", False) and bool(getattr(flags, "writeable", True))


def stacked(frames: Sequence[Any]) -> Any:
    """A list of frames as one array of their kind. Raises InputError where they differ."""
    first = frames[0]
    for number, frame in enumerate(frames):
        check_alike(frame, first, number)
    if kind_of(first) == "torch":
        import torch

        return torch.stack(list(frames))
    masked = any(np.ma.isMaskedArray(frame) for frame in frames)
    return np.ma.stack(frames) if masked else np.stack(frames)


def check_alike(frame: Any, first: Any, number: int) -> None:
    """Raise InputError for a frame that is not as the first one is."""
    values_of(frame)
    if tuple(frame.shape) != tuple(first.shape) or frame.dtype != first.dtype:
        raise InputError(
            f"frame {number}: is {tuple(frame.shape)} {frame.dtype}, "
            f"the first was {tuple(first.shape)} {first.dtype}.",
            hint="A clip has one size and dtype.",
        )
