"""Small moving scenes with known offsets of rows, bands and columns."""

import cv2
import numpy as np

SIZE = 96, 144
COUNT = 6


def scene(count: int = COUNT, speed: tuple[int, int] = (1, 2), seed: int = 7) -> np.ndarray:
    """A soft picture with edges that pans by `speed` (rows, columns) a frame: (T, H, W), 0..1."""
    rng = np.random.default_rng(seed)
    big = SIZE[0] + count * abs(speed[0]), SIZE[1] + count * abs(speed[1])
    field = cv2.GaussianBlur(rng.normal(0, 1, big).astype(np.float32), (0, 0), 4)
    field = 0.5 + 0.12 * field / field.std()
    field[big[0] // 3 : big[0] // 2, big[1] // 4 : big[1] // 2] += 0.2
    return np.stack(
        [
            field[t * speed[0] :, t * speed[1] :][: SIZE[0], : SIZE[1]]
            for t in range(count)
        ]
    )  # fmt: skip


def white(sigma8: float, count: int = COUNT, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma8 / 255, (count, *SIZE))


def row_offsets(sigma8: float, count: int = COUNT, seed: int = 2) -> np.ndarray:
    """(T, H, 1): new in every frame."""
    return np.random.default_rng(seed).normal(0, sigma8 / 255, (count, SIZE[0], 1))


def column_offsets(sigma8: float, seed: int = 3) -> np.ndarray:
    """(1, 1, W): the same in every frame."""
    return np.random.default_rng(seed).normal(0, sigma8 / 255, (1, 1, SIZE[1]))


def bands(sigma8: float, count: int = COUNT) -> np.ndarray:
    """(T, H, 1): a wave that runs through the picture."""
    place = np.arange(SIZE[0])[None] / 45 + np.arange(count)[:, None] * 0.37
    return (2**0.5 * sigma8 / 255 * np.sin(2 * np.pi * place))[..., None]


def hum(period: float, amplitude8: float, count: int = COUNT, seed: int = 3) -> np.ndarray:
    """(T, H, 1): a wave down the rows, of new phase in every frame."""
    phases = np.random.default_rng(seed).uniform(0, 1, (count, 1))
    place = np.arange(SIZE[0])[None] / period + phases
    return (amplitude8 / 255 * np.sin(2 * np.pi * place))[..., None]


def stripes(period: float, steps: np.ndarray, texture: float) -> np.ndarray:
    """A wall striped across that is at another height in every frame, with its texture."""
    rng = np.random.default_rng(9)
    soft = cv2.GaussianBlur(rng.normal(0, 1, (300, SIZE[1])).astype(np.float32), (0, 0), 2)
    soft = soft / soft.std() * texture
    shown = []
    for step in steps:
        move = np.array([[1, 0, 0], [0, 1, 80 + step]], np.float32)
        how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        moved = cv2.warpAffine(soft, move, SIZE[::-1], flags=how)
        place = (np.arange(SIZE[0])[:, None] + step) / period
        shown.append(0.5 + 0.15 * np.sin(2 * np.pi * place) + moved)
    return np.stack(shown)
