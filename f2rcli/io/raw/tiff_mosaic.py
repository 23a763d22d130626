"""Mosaics in TIFF files: pages of sensor codes, with pattern and levels in JSON beside them.

A TIFF counts as raw where its description or a sidecar is a JSON object with "cfa", or where it
lies in CRVD's layout. The sidecar is `clip.json` beside `clip.tif`, or `sensor.json` in a folder:

    {"cfa": "GBRG", "black": 240, "white": 4095, "balance": [1.9, 1, 1.6], "iso": 6400, "rate": 24}

"black" and "white" may be lists of four, for R, G in red rows, B, G in blue rows; "balance" is
what R, G, B are multiplied by to make gray gray. All but the first three may be left out.
"""

import json
import os
import re
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from f2rcli.errors import InputError
from f2rcli.frames import Mosaic
from f2rcli.io.raw.exposure import UNREADABLE, Exposure, RawTags, Samples, check_size
from f2rcli.io.tifffiles import PageList, list_pages, quiet, refusals
from f2rcli.sensor import PATTERNS

FOLDER_SIDECAR = "sensor.json"
# Yue et al., CVPR 2020: noisy takes of a frame, or its clean version.
CRVD = re.compile(r"frame(\d+)_(?:noisy(\d+)|clean\w*)\.tiff?", re.IGNORECASE)
_CRVD_FACTS = {"cfa": "GBRG", "black": 240, "white": 4095}


def sensor_facts(path: Path) -> dict[str, Any] | None:
    """The sensor facts of a TIFF's mosaics, if stated. Raises InputError for a bad sidecar."""
    for sidecar in sidecars(path):
        if (facts := _json_object(sidecar)) is not None:
            return facts
    if CRVD.fullmatch(path.name):
        iso = re.fullmatch(r"ISO(\d+)", path.parent.name, re.IGNORECASE)
        return _CRVD_FACTS | ({"iso": int(iso[1])} if iso else {})
    return _described(path)


def sidecars(path: Path) -> list[Path]:
    """The files beside a TIFF that may state its sensor facts."""
    places = (path.with_suffix(".json"), path.parent / FOLDER_SIDECAR)
    return [place for place in places if os.path.isfile(place)]  # a name may be too long


def _json_object(sidecar: Path) -> dict[str, Any] | None:
    """The sidecar's facts; None where it has other content."""
    try:
        facts = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        if sidecar.name != FOLDER_SIDECAR:
            return None  # somebody else's file
        raise InputError(f"{sidecar.name}: is not JSON ({error}).") from error
    return facts if isinstance(facts, dict) and "cfa" in facts else None


def _described(path: Path) -> dict[str, Any] | None:
    text = ""
    with suppress(InputError), refusals(path.name), quiet(), tifffile.TiffFile(path) as file:
        text = str(file.pages.first.description)
    try:
        facts = json.loads(text) if text.startswith("{") else None
    except ValueError:
        return None
    return facts if isinstance(facts, dict) and "cfa" in facts else None


def examine_tiff(path: Path) -> list[Exposure]:
    """Every page of a TIFF of mosaics. Raises InputError with the reason it cannot be read."""
    facts = sensor_facts(path)
    if facts is None:
        raise InputError(
            f"{path.name}: its colour filters are not stated.",
            hint=f'Put {path.stem}.json beside it: {{"cfa": "RGGB", "black": 240, "white": 4095}}.',
        )
    listed = list_pages(path) if path.is_file() else PageList(0)
    if listed.circular:  # tifffile would follow it for ever
        raise InputError(f"{path.name}: is damaged: its list of pages runs in a circle.")
    try:
        with quiet(), tifffile.TiffFile(path) as file:
            pages = list(file.pages)
            shape = _checked_shape(path, pages[0])
            for number, page in enumerate(pages[1:], 2):
                _check_same(path, number, _checked_shape(path, page), shape)
            extents = zip(pages[-1].dataoffsets, pages[-1].databytecounts, strict=False)
            lacking = max((o + n for o, n in extents), default=0) - path.stat().st_size
            count = len(pages)
    except UNREADABLE as error:
        raise InputError(f"{path.name}: is not a complete TIFF ({error}).") from error
    promised = facts.get("shape", [count])[0] if len(facts.get("shape", [])) == 3 else count
    if lacking > 0 or promised > count or listed.broken:
        whole = f"{count} of {promised} pages are" if promised > count else "not all pages are"
        raise InputError(f"{path.name}: is truncated: {whole} there.", hint="Copy it again.")
    rate, iso = _rate_and_iso(facts, path)
    exposure = Exposure(
        path=path, name=path.stem, shape=shape, active=(0, 0, *shape), mosaic=_mosaic(facts, path),
        iso=iso, tags=RawTags(make=str(facts.get("make", "")), model=str(facts.get("model", "")),
                              iso=iso, rate=rate),
    )  # fmt: skip
    if count == 1:
        return [exposure]
    return [replace(exposure, page=i, name=f"{path.stem}_{i + 1:05d}") for i in range(count)]


def _check_same(path: Path, number: int, own: tuple[int, int], first: tuple[int, int]) -> None:
    if own != first:
        raise InputError(
            f"{path.name}: page {number} is {own[1]}x{own[0]}, those before are "
            f"{first[1]}x{first[0]}.",
            hint="A burst has one size: denoise the parts separately.",
        )


def _checked_shape(path: Path, page: Any) -> tuple[int, int]:
    if page.samplesperpixel != 1 or page.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"{path.name}: mosaics are one unsigned sample of 8 or 16 bits per pixel, these are "
            f"{page.samplesperpixel} of {page.dtype}."
        )
    shape = int(page.imagelength), int(page.imagewidth)
    check_size(path, shape)
    return shape


def _mosaic(facts: dict[str, Any], path: Path) -> Mosaic:
    pattern = str(facts["cfa"]).upper()
    if pattern not in PATTERNS:
        raise InputError(
            f'{path.name}: "cfa": "{facts["cfa"]}" is not a Bayer pattern.',
            hint=f"Choose from {', '.join(PATTERNS)}.",
        )
    r, g, b, other = _numbers(facts, "black", 4, path)
    white = _numbers(facts, "white", 4, path)
    balance = _numbers({"balance": 1.0} | facts, "balance", 3, path)
    if min(balance) <= 0:
        raise InputError(f'{path.name}: "balance" must be above 0, not {balance}.')
    return Mosaic(
        pattern=pattern, black=(r, g, b, other), white=(white[0], white[1], white[2], white[3]),
        balance=(balance[0], balance[1], balance[2]),
    )  # fmt: skip


def _numbers(facts: dict[str, Any], name: str, count: int, path: Path) -> list[float]:
    """A fact that is a list of `count` numbers, or one for all of them. Raises InputError."""
    value = facts.get(name)
    each: list[Any] = value if isinstance(value, list) else [value] * count
    if len(each) != count or not all(isinstance(v, int | float) for v in each):
        what = f"a number or {count} of them"
        raise InputError(f'{path.name}: "{name}" must be {what}, not {value!r}.')
    return [float(v) for v in each]


def _rate_and_iso(facts: dict[str, Any], path: Path) -> tuple[Fraction | None, int | None]:
    rate, iso = facts.get("rate"), facts.get("iso")
    if iso is not None and not isinstance(iso, int):
        raise InputError(f'{path.name}: "iso" must be a whole number, not {iso!r}.')
    if rate is None:
        return None, iso
    if not isinstance(rate, int | float) or not 0 < rate < 1e6:
        raise InputError(f'{path.name}: "rate" must be frames per second, not {rate!r}.')
    return Fraction(rate).limit_denominator(1001), iso


class TiffPages:
    """Reads pages of one TIFF after another; the last file stays open."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._file: Any = None

    def read(self, exposure: Exposure) -> Samples:
        """The samples of a page. Raises InputError where they cannot be read."""
        try:
            if self._path != exposure.path:
                self.close()
                self._file, self._path = tifffile.TiffFile(exposure.path), exposure.path
            page = self._file.pages[exposure.page]
            return np.asarray(page.asarray())
        except UNREADABLE as error:
            raise InputError(
                f"{exposure.path.name}: page {exposure.page + 1} cannot be read ({error})."
            ) from error

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file = self._path = None


def facts_text(exposure: Exposure) -> str:
    """The sensor facts of an exposure as JSON, for a TIFF's description; see `sensor_facts`."""

    def plain(levels: tuple[float, ...]) -> float | list[float]:
        same = len(set(levels)) == 1
        short = [int(v) if v == int(v) else v for v in levels]
        return short[0] if same else short

    mosaic, tags = exposure.mosaic, exposure.tags
    facts: dict[str, Any] = {
        "cfa": mosaic.pattern, "black": plain(mosaic.black), "white": plain(mosaic.white),
        "balance": list(mosaic.balance), "iso": exposure.iso, "make": tags.make,
        "model": tags.model, "rate": None if tags.rate is None else float(tags.rate),
    }  # fmt: skip
    return json.dumps({key: value for key, value in facts.items() if value not in (None, "")})
