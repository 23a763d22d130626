"""Still pictures, and what stands in them that no sensor put there."""

from collections.abc import Iterator

import cv2
import numpy as np

HEIGHT, WIDTH = 192, 240
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)


def soft(sigma: float, seed: int) -> np.ndarray:
    """Blurred noise of standard deviation 1, (H, W)."""
    noise = np.random.default_rng(seed).normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), sigma)
    return np.asarray(noise / noise.std())


def still_life(seed: int = 1) -> np.ndarray:
    """Discs that hide each other before uneven light, through optics, (H, W), 0..1."""
    rng = np.random.default_rng(seed)
    picture = (0.4 + 0.12 * soft(25, seed)).astype(np.float32)
    for _ in range(120):
        place = int(rng.integers(WIDTH)), int(rng.integers(HEIGHT))
        cv2.circle(picture, place, int(rng.integers(4, 24)), float(rng.uniform(0.15, 0.75)), -1)
    picture += 0.02 * soft(2, seed + 1)
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 0.7), 0, 1)


def filmed(pictures: np.ndarray, sigma8: float = 3, count: int = 6, seed: int = 2) -> np.ndarray:
    """Pictures (T, H, W) or one (H, W) with white noise in 8 bits, (T, H, W), 0..1."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, sigma8 / 255, (count, HEIGHT, WIDTH))
    return np.asarray(np.rint(255 * np.clip(pictures + noise, 0, 1)) / 255, np.float32)


def offsets(count: int, sigma8: float = 5, seed: int = 3) -> np.ndarray:
    """What lines of a sensor are offset by, white - black."""
    return np.random.default_rng(seed).normal(0, sigma8 / 255, count)


def scenery() -> Iterator[tuple[str, np.ndarray]]:
    """By name: (H, W), 0..1; all has lines down the picture and none of it is a sensor's."""
    rng, life, x, y = np.random.default_rng(4), still_life(), COLUMNS, ROWS
    light = np.clip(1 + 0.3 * soft(25, 5), 0.3, 2)
    falling = np.linspace(1.4, 0.4, HEIGHT)[:, None]
    bars, places = rng.random(WIDTH), rng.choice(np.arange(10, WIDTH - 10), 25, replace=False)
    yield "a still life", life
    yield "a fence", 0.4 + 0.3 * (x % 9 < 3) * light
    yield "blinds", (0.4 + 0.25 * np.sin(2 * np.pi * x / 11)) * falling
    yield "blinds from an angle", 0.4 + 0.25 * np.sin(2 * np.pi * (x + 0.02 * x * y / HEIGHT) / 11)
    yield "bars of light", (0.2 + 0.4 * bars) * falling
    yield "a bar code, evenly lit", 0.3 + 0.4 * np.tile(bars, (HEIGHT, 1))
    wires, shadows = life.copy(), life.copy()
    wires[:, places] = 0.1
    shadows[:, places] *= rng.uniform(0.4, 0.9, 25).astype(np.float32)
    yield "wires", wires
    yield "wires through a lens", cv2.GaussianBlur(wires, (0, 0), 0.6)
    yield "shadows of wires", shadows
    grain = cv2.GaussianBlur(np.float32(rng.normal(0, 1, (1, WIDTH))), (0, 0), 0.7)
    yield "wood", 0.45 + 0.05 * grain + 0.1 * (light - 1)
    yield "a curtain", (0.4 + 0.2 * cv2.GaussianBlur(np.float32(bars[None]), (0, 0), 3)) * light
    yield "corduroy", (0.4 + 0.12 * np.sin(2 * np.pi * (x + 1.5 * soft(20, 6)) / 5)) * light
    joints = (y % 14 < 2) | ((x + 15 * (y // 14 % 2)) % 30 < 2)
    yield "bricks", (0.5 + 0.25 * joints) * np.clip(light, 0.6, 1.4)
    windows = ((x % 28 > 14) & (y % 40 > 12) & (y > 30)) * 0.3
    yield "a facade", (0.6 - windows) * np.clip(falling, 0.5, 1.1)
    screen = np.full((HEIGHT, WIDTH), 0.95, np.float32)
    screen[:, :60], screen[:25], screen[:, 60], screen[:, 150:152] = 0.2, 0.3, 0.0, 0.7
    for row in range(35, HEIGHT - 10, 14):
        screen[row : row + 8 : 2, 70:140] -= 0.8 * (rng.random(70) < 0.4)
    yield "a screen", screen
