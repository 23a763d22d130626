"""Pictures as the bytes of small files, and values in false colours."""

import base64

import cv2
import numpy as np

from f2rcli.frames import Codes

LOSSLESS = 0  # the quality that stands for PNG
PNG = b"\x89PNG"
# OpenCV's VIRIDIS at equal distances, for colour bars.
VIRIDIS = (
    "#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30",
    "#fde725",
)  # fmt: skip


def encode(codes: Codes, quality: int = LOSSLESS) -> bytes:
    """A picture (H, W, 3) RGB or (H, W) gray, as PNG, or as WebP of a quality from 1 to 100."""
    shown = codes if codes.ndim == 2 else np.ascontiguousarray(codes[..., ::-1])
    if quality == LOSSLESS:
        done, data = cv2.imencode(".png", shown, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    else:
        done, data = cv2.imencode(".webp", shown, [cv2.IMWRITE_WEBP_QUALITY, quality])
    if not done:
        raise ValueError(f"a picture of shape {codes.shape} cannot be encoded")
    return data.tobytes()


def data_uri(picture: bytes) -> str:
    """A PNG or WebP file as a data URI, for a page that must not fetch anything."""
    kind = "png" if picture.startswith(PNG) else "webp"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def tinted(codes: Codes) -> Codes:
    """(H, W, 3) of values (H, W), from dark blue, 0, to yellow, 255."""
    coloured = cv2.applyColorMap(codes, cv2.COLORMAP_VIRIDIS)
    return np.ascontiguousarray(coloured[..., ::-1]).astype(np.uint8)
