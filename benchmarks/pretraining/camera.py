"""A small camera: noise in linear light, then all the processing that shapes it.

The scene is taken back to the sensor (Brooks et al., Unprocessing Images, CVPR 2019): tone curve,
colour matrix and white balance are undone, the Bayer mosaic is laid over it. There shot and read
noise are added, and the camera develops the result: white balance, demosaicking, colour matrix,
tone curve, chroma smoothing, denoising, sharpening. The clean picture goes the same way without
noise and denoising, so that the difference is noise alone.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Codes, Singles
from f2rcli.noise.synthesis.law import to_codes

STEPS = 1 << 14  # of the tone curve's table
# A typical matrix from a sensor's colours to sRGB; rows sum to 1, so gray stays gray.
COLOUR = np.array([[1.7, -0.6, -0.1], [-0.2, 1.5, -0.3], [0.0, -0.5, 1.5]])

# Malvar, He and Cutler, ICASSP 2004, in eighths: green at red or blue; red at green in a red row
# (transposed: in a blue row); red at blue. Blue likewise.
GREEN = np.array(
    [[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]]
)
BESIDE = np.array(
    [[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]]
)
ACROSS = np.array(
    [
        [0, 0, -1.5, 0, 0],
        [0, 2, 0, 2, 0],
        [-1.5, 0, 6, 0, -1.5],
        [0, 2, 0, 2, 0],
        [0, 0, -1.5, 0, 0],
    ]
)


@dataclass(frozen=True)
class Camera:
    """A camera at one ISO setting. Signals in units of sensor white, pictures in 0..1."""

    shot: float  # variance per unit of signal, at the sensor
    read: float  # standard deviation at the sensor
    red: float = 2.0  # white balance, relative to green
    blue: float = 1.7
    colour: float = 0.5  # share of the colour matrix: 0 none, 1 all
    contrast: float = 0.5  # share of an S curve after gamma
    malvar: bool = True  # demosaicking; False: bilinear
    smooth: float = 0.0  # pixels, standard deviation of chroma smoothing; 0 none
    sharpen: float = 0.0  # amount of unsharp masking
    denoise: float = 0.0  # range of a bilateral filter, in noise standard deviations; 0 none

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Camera":
        """A camera at random, from ISO 100 to night, plain or as phones are; read noise follows
        shot noise as in sensors (Brooks et al., section 3.1)."""
        shot = float(np.exp(rng.uniform(np.log(2e-4), np.log(3e-2))))
        read2 = np.exp(2.18 * np.log(shot) + 1.2 + rng.normal(0, 0.26))
        return cls(
            shot=shot,
            read=float(np.sqrt(read2)),
            red=rng.uniform(1.5, 2.4),
            blue=rng.uniform(1.3, 2.1),
            colour=rng.uniform(0, 1),
            contrast=rng.uniform(0, 1),
            malvar=bool(rng.random() < 0.8),
            smooth=rng.uniform(0.5, 2.0) if rng.random() < 0.5 else 0.0,
            sharpen=rng.uniform(0.2, 1.0) if rng.random() < 0.4 else 0.0,
            denoise=rng.uniform(1.0, 2.5) if rng.random() < 0.25 else 0.0,
        )

    @property
    def quiet(self) -> "Camera":
        """The same camera without noise, and so without a denoiser: it makes the target."""
        return replace(self, shot=0.0, read=0.0, denoise=0.0)

    def shoot(self, scene: Codes, rng: np.random.Generator) -> Codes:
        """A picture of a scene (H, W, 3), or (H, W, 1) for a sensor without colours."""
        linear = self._linear[scene]
        colours = scene.shape[-1] == 3
        exposed = self._mosaic(linear) if colours else linear[..., 0]
        if self.shot or self.read:
            level = np.sqrt(np.float32(self.shot) * np.maximum(exposed, 0) + self.read**2)
            exposed = exposed + rng.standard_normal(exposed.shape, np.float32) * level
        developed = self._develop(exposed) if colours else exposed[..., None]
        table = np.clip(developed, 0, 1) * (STEPS - 1) + 0.5
        return to_codes(self._finish(self._display[table.astype(np.uint16)]))

    @cached_property
    def _display(self) -> Singles:
        """Linear light in STEPS steps -> gamma-encoded, with an S curve."""
        return tone_curve(np.linspace(0, 1, STEPS), self.contrast).astype(np.float32)

    @cached_property
    def _linear(self) -> Singles:
        """8-bit codes -> linear light."""
        light = np.linspace(0, 1, STEPS)
        return np.interp(np.arange(256) / 255, self._display, light).astype(np.float32)

    def _mosaic(self, linear: Singles) -> Singles:
        """Linear light (H, W, 3) -> what the sensor's pixels (H, W) see, R G / G B."""
        sensor = cv2.transform(linear, sensor_matrix(self.colour, self.red, self.blue))
        pixels = np.asarray(sensor[..., 1], np.float32).copy()
        pixels[::2, ::2] = sensor[::2, ::2, 0]
        pixels[1::2, 1::2] = sensor[1::2, 1::2, 2]
        return pixels

    def _develop(self, pixels: Singles) -> Singles:
        """The sensor's pixels (H, W) -> linear light (H, W, 3)."""
        balanced = pixels.copy()
        balanced[::2, ::2] *= np.float32(self.red)
        balanced[1::2, 1::2] *= np.float32(self.blue)
        full = demosaic(balanced) if self.malvar else _bilinear(balanced)
        return np.asarray(cv2.transform(full, colour_matrix(self.colour)), np.float32)

    def _finish(self, picture: Singles) -> Singles:
        """Smoothing, denoising and sharpening of a gamma-encoded picture."""
        if self.denoise:
            noise = np.sqrt(0.2 * self.shot + self.read**2)  # in mid-tones, about
            shape = picture.shape  # OpenCV drops a single channel
            filtered = cv2.bilateralFilter(picture, 5, self.denoise * float(noise), 1.5)
            picture = np.asarray(filtered, np.float32).reshape(shape)
        if self.smooth and picture.shape[-1] == 3:
            luma = picture.mean(-1, keepdims=True)
            picture = luma + _blurred(picture - luma, self.smooth)
        if self.sharpen:
            picture = picture + np.float32(self.sharpen) * (picture - _blurred(picture, 1.0))
        return picture


def tone_curve(light: NDArray[np.float64], contrast: float) -> NDArray[np.float64]:
    """Linear light -> gamma-encoded (sRGB), with a share `contrast` of an S curve."""
    gamma = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (1 - contrast) * gamma + contrast * gamma**2 * (3 - 2 * gamma)


def colour_matrix(share: float) -> NDArray[np.float64]:
    """A sensor's colours -> sRGB; 0 leaves them as they are, 1 takes all of COLOUR."""
    return np.eye(3) + share * (COLOUR - np.eye(3))


def sensor_matrix(share: float, red: float, blue: float) -> NDArray[np.float64]:
    """sRGB -> a sensor's colours before white balance: the reverse of `colour_matrix` and it."""
    return np.linalg.inv(colour_matrix(share)) / np.array([red, 1.0, blue])[:, None]


def demosaic(pixels: Singles) -> Singles:
    """Bayer pixels (H, W), R G / G B, -> (H, W, 3), by gradient-corrected interpolation."""
    green, beside, above, across = (
        cv2.filter2D(pixels, -1, kernel / 8, borderType=cv2.BORDER_REFLECT_101)
        for kernel in (GREEN, BESIDE, BESIDE.T, ACROSS)
    )
    full = np.repeat(pixels[..., None], 3, axis=2)
    full[::2, ::2, 1], full[1::2, 1::2, 1] = green[::2, ::2], green[1::2, 1::2]
    full[::2, 1::2, 0], full[1::2, ::2, 0] = beside[::2, 1::2], above[1::2, ::2]
    full[::2, 1::2, 2], full[1::2, ::2, 2] = above[::2, 1::2], beside[1::2, ::2]
    full[1::2, 1::2, 0], full[::2, ::2, 2] = across[1::2, 1::2], across[::2, ::2]
    return full


def _bilinear(pixels: Singles) -> Singles:
    """Bayer pixels (H, W), R G / G B, -> (H, W, 3): means of the nearest of each colour."""
    planes = np.zeros((*pixels.shape, 3), np.float32)
    planes[::2, ::2, 0] = pixels[::2, ::2]
    planes[1::2, 1::2, 2] = pixels[1::2, 1::2]
    planes[::2, 1::2, 1], planes[1::2, ::2, 1] = pixels[::2, 1::2], pixels[1::2, ::2]
    tent = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    cross = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    border = cv2.BORDER_REFLECT_101
    for channel, kernel in enumerate((tent, cross, tent)):
        planes[..., channel] = cv2.filter2D(planes[..., channel], -1, kernel, borderType=border)
    return planes


def _blurred(picture: Singles, sigma: float) -> Singles:
    blurred = cv2.GaussianBlur(picture, (0, 0), sigma)
    return np.asarray(blurred, np.float32).reshape(picture.shape)
