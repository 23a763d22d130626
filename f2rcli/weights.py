"""Weights: a name or a path to verified tensors, and the header that rebuilds their network.

Files are safetensors; the header is JSON in their metadata. Pickles are never loaded.
"""

import json
import re
import tomllib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from f2rcli.errors import UsageError, WeightsError
from f2rcli.frames import Family
from f2rcli.io.files import file_digest, write_file
from f2rcli.settings import check, parse_json, setting

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMAT = 1
LONGEST = 4096  # characters of a header
CHANNELS = {Family.RGB: 3, Family.GRAY: 1, Family.BAYER: 4}


class Estimate(StrEnum):
    """Which of a pipeline's estimates is given out: the best that its training came to."""

    COARSE = "coarse"  # of the frame alone
    ANCHOR = "anchor"  # stage 1
    REFINED = "refined"  # stage 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Everything needed to rebuild a network before its tensors are read."""

    method: str = setting(pattern=r"[a-z0-9_-]+")
    space: Family
    channels: int = setting(low=1, high=4)
    length: int = setting(low=1, high=63)  # frames per window, centre included
    config: dict[str, Any]  # of the networks: widths and the like
    size: str = "small"
    trained_on: str = ""
    estimate: Estimate = Estimate.REFINED  # given out (F2R)
    format: int = setting(FORMAT, low=FORMAT, high=FORMAT)

    def to_json(self) -> str:
        return json.dumps(asdict(self) | {"space": self.space.value}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, name: str) -> "Header":
        """Raises WeightsError for a header of another format, or that can be none."""
        try:
            found = parse_json(text) if len(text) <= LONGEST else None
            if not isinstance(found, dict) or "format" not in found:
                raise no_header(name, "no table with a format")
            if type(found["format"]) is int and found["format"] != FORMAT:
                raise WeightsError(
                    f"{name}: weights of format {found['format']:.6g}, this f2r reads {FORMAT}.",
                    hint="Install the f2r version these weights were made with, or newer.",
                )
            for old in ("sigma_range", "level", "order"):  # which nothing asks for
                found.pop(old, None)
            space = Family(found.get("space"))
            estimate = Estimate(found.get("estimate", Estimate.REFINED))
            header = cls(**found | {"space": space, "estimate": estimate})
            check(header)
        except (OverflowError, TypeError, ValueError, UsageError) as error:
            raise no_header(name, str(error)[:100]) from error
        # A file may come from anyone: numbers are whole and small, as widths are.
        whole = not re.search(r"\d{5}|\d[.e]|null", json.dumps(header.config))
        whole = whole and isinstance(header.config, dict)
        if not whole or header.channels != CHANNELS.get(space) or header.length % 2 == 0:
            raise no_header(name, "its networks, channels or length cannot be")
        return header


def no_header(name: str, why: str) -> WeightsError:
    return WeightsError(
        f"{name}: the weights' header is not f2r's ({why}).",
        hint="The file is damaged or was edited; take a fresh copy.",
    )


# --- Files of weights ----------------------------------------------------------------------------


HEADER_KEY = "f2r"
SHARE = "share"  # the manifest's entry of the network that measures noise

N = TypeVar("N", bound="nn.Module")


@dataclass(frozen=True, slots=True)
class Weights:
    """Named tensors and their header."""

    name: str
    header: Header
    tensors: "dict[str, Tensor]"
    sha256: str = ""
    _built: "list[nn.Module]" = field(default_factory=list, repr=False)

    def network(self, build: "Callable[[], N]") -> N:
        """The network that `build` makes of the header, with these tensors: the same one for every
        call, to be run and not to be trained.

        Raises WeightsError unless the header describes one and the tensors are its own. It is built
        as an outline without memory, so that a header cannot ask for more than the tensors take.
        """
        if not self._built:
            import torch

            with torch.inference_mode(False):  # who asks for gradients later gets the same network
                self._built.append(self._filled(build))
        return cast("N", self._built[0])

    def _filled(self, build: "Callable[[], N]") -> N:
        import torch

        try:
            with torch.device("meta"), _nothing_drawn():
                network = build()
        except (
            ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError,
        ) as error:  # fmt: skip
            why = " ".join(f"{type(error).__name__}: {error}".split())[:100]
            raise no_header(self.name, f"it describes no networks: {why}") from error
        own, given = (
            {(name, tensor.shape) for name, tensor in tensors.items()}
            for tensors in (network.state_dict(), self.tensors)
        )
        if own != given:
            raise WeightsError(
                f"{self.name}: tensor {min(own ^ given)[0]!r} does not fit the network its header "
                "describes.",
                hint="The file is damaged or was edited; take a fresh copy.",
            )
        for name, tensor in self.tensors.items():
            if not tensor.isfinite().all():
                raise WeightsError(
                    f"{self.name}: tensor {name!r} holds values that are not finite.",
                    hint="The file is damaged; take a fresh copy.",
                )
        full = {name: tensor.to(torch.float32, copy=True) for name, tensor in self.tensors.items()}
        network.load_state_dict(full, assign=True)
        return network


def _nothing_drawn() -> AbstractContextManager[object]:
    """Networks built within stay as they are before their first values are drawn: drawing them
    without memory loads torch's compiler, which takes a second."""
    from torch import Tensor, nn
    from torch.overrides import TorchFunctionMode

    draws = {Tensor.normal_, Tensor.uniform_, nn.init.kaiming_uniform_}

    class NothingDrawn(TorchFunctionMode):
        def __torch_function__(
            self, call: Any, types: Any, given: tuple[Any, ...] = (), named: Any = None
        ) -> Any:
            named = named or {}
            return next(iter((*given, *named.values()))) if call in draws else call(*given, **named)

    return NothingDrawn()


def folder() -> Path:
    """The folder of bundled weights: inside an installed package, or beside it in a checkout."""
    installed = Path(__file__).parent / "_weights"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "weights"


def manifest() -> dict[str, dict[str, Any]]:
    """Name -> file, sha256, method, space, size and default of all bundled weights."""
    return {name: entry for name, entry in _files().items() if name != SHARE}


def _files() -> dict[str, dict[str, Any]]:
    """Name -> file and sha256 of every bundled file, and more of weights."""
    path = folder() / "manifest.toml"
    return _parsed(path.read_text(encoding="utf-8")) if path.is_file() else {}


_parsed = lru_cache(maxsize=1)(tomllib.loads)  # a run asks a dozen times


def available() -> list[str]:
    """Names of all bundled weights."""
    return sorted(manifest())


def choose(method: str, space: Family, size: str | None = None) -> str:
    """The name of the bundled weights for a method and space, of a size where there are any; gray
    pictures that have none of their own go through those for colours. Raises WeightsError."""
    for served in (space, Family.RGB) if space is Family.GRAY else (space,):
        wanted = method, served.value
        fitting = {n: e for n, e in manifest().items() if (e["method"], e["space"]) == wanted}
        sized = [name for name, entry in fitting.items() if size and entry.get("size") == size]
        default = [name for name, entry in fitting.items() if entry.get("default")]
        for name in (*sized, *default, *fitting):
            return name
    raise WeightsError(
        f"no bundled weights for method {method} and {space.value} pictures.",
        hint="Pass a file of your own as weights=.",
    )


def load(name_or_path: str) -> Weights:
    """Weights by bundled name (SHA-256 checked) or path. Raises WeightsError unless sound."""
    if entry := manifest().get(name_or_path):
        return _read(_bundled(entry), name_or_path, entry["sha256"])
    path = Path(name_or_path)
    if not path.is_file():
        raise WeightsError(
            f"weights={name_or_path!r}: neither a bundled name nor a file.",
            hint=f"Bundled: {', '.join(available()) or 'none'}; or pass a .safetensors file.",
        )
    return _read(path, path.stem, file_digest(path))


def share() -> "dict[str, Tensor]":
    """The tensors of the network of `noise/estimate.py`. Raises WeightsError, see `_bundled`."""
    from safetensors.torch import load_file

    entry = _files().get(SHARE, {"file": f"noise_{SHARE}.safetensors", "sha256": ""})
    return {name: tensor.float() for name, tensor in load_file(_bundled(entry)).items()}


def _bundled(entry: dict[str, Any]) -> Path:
    """The file of an entry of the manifest. Raises WeightsError for a damaged or missing one."""
    path: Path = folder() / entry["file"]
    trouble = "SHA-256 differs from the manifest's: the file is damaged"
    if not path.is_file():
        trouble = f"is bundled with f2r, and missing in {path.parent}"
    elif file_digest(path) == entry["sha256"]:
        return path
    raise WeightsError(f"{path.name}: {trouble}.", hint="Reinstall f2r.")


def _read(path: Path, name: str, digest: str) -> Weights:
    from safetensors import SafetensorError, safe_open  # brings torch in

    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER_KEY)
            if text is None:
                raise WeightsError(
                    f"{path.name}: a safetensors file, but not f2r's (it has no f2r header).",
                    hint="Pass weights made by f2r.",
                )
            header = Header.from_json(text, path.name)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # not a dict
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path.name}: not a safetensors file, or damaged ({error}).",
            hint="f2r loads safetensors only, never pickles such as .pt or .pth.",
        ) from error
    return Weights(name, header, tensors, digest)


def save(path: Path, header: Header, tensors: "dict[str, Tensor]") -> str:
    """Write weights as float16, whole or not at all; returns their SHA-256. Raises OutputError."""
    from safetensors.torch import save as to_bytes

    halves = {name: tensor.half().contiguous() for name, tensor in tensors.items()}
    # safetensors' own writer makes files that only their owner may read
    data = to_bytes(halves, metadata={HEADER_KEY: header.to_json()})
    write_file(path, data, overwrite=True)
    return file_digest(path)


def mark(name: str | None) -> str:
    """A mark that tells weights apart: SHA-256 of a file or bundled name; None: of all bundled."""
    if name is not None and Path(name).is_file():
        return file_digest(Path(name))
    marks = {bundled: str(entry["sha256"]) for bundled, entry in manifest().items()}
    return marks.get(name, name) if name else ",".join(sorted(marks.values()))
