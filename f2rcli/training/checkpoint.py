"""Files of a run: written whole or not at all, tensors and JSON, never a pickle."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from f2rcli.documents import parse_json
from f2rcli.errors import OutputError, WeightsError
from f2rcli.io.atomic import replacing
from f2rcli.io.disk_errors import FULL

HEADER = "header"  # one entry: safetensors writes several in an order of its own, anew each time


def read(path: Path) -> tuple[dict[str, object], dict[str, Tensor]]:
    """Header and tensors; raises WeightsError for a file that is damaged or not a run's."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # not a dict
            header = parse_json((file.metadata() or {})[HEADER])
        if not isinstance(header, dict):
            raise ValueError("its header is no table")
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise WeightsError(
            f"{path}: not a checkpoint of a training run, or damaged ({error}).",
            hint="Choose another run folder, or delete the file to begin again.",
        ) from error
    return header, tensors


def write(path: Path, tensors: dict[str, Tensor], header: dict[str, object]) -> None:
    """Write a file beside its place, and put it there once it is on the disk. Raises OutputError;
    the file that was there before is then as it was."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with replacing(path) as part:
            save_file(plain, part, metadata={HEADER: json.dumps(header)})
    except (SafetensorError, OSError) as error:
        full = isinstance(error, OSError) and error.errno in FULL
        why = "the disk is full" if full or "No space left" in str(error) else str(error)
        raise OutputError(
            f"{path}: cannot write the checkpoint ({why}).",
            hint="Free some space; the previous checkpoint is intact, and resume=True continues.",
        ) from error
