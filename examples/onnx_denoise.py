"""Restore a short clip from exported graphs, with NumPy, OpenCV and onnxruntime alone.

f2r export f2r-full -o graphs
python examples/onnx_denoise.py graphs examples/noisy_path.mp4 clean.mkv --sigma 20

It follows docs/python.md. f2r does more: it measures the noise, holds what is removed to it,
remembers more than a window, stops at cuts, and keeps the file's samples, sound and time stamps.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

Array = NDArray[np.float32]  # pictures (3, H, W), 0 = black, 1 = white; see Clip.flow for flows
# Rows: luma and two kinds of chroma, as f2r's networks see R, G and B.
LUMA_CHROMA = np.array([[2, 2, 2], [6**0.5, 0, -(6**0.5)], [2**0.5, -(8**0.5), 2**0.5]]) / 12**0.5
LARGE = 300_000  # pixels of a halved picture, from which on motion is looked for in fewer
SMALLEST = 80  # pixels: OpenCV's flow wants no smaller pictures


class Graphs:
    """The three networks, and what their files say of them."""

    def __init__(self, folder: Path) -> None:
        kinds = onnxruntime.get_available_providers()
        self.sessions = {
            name: onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=kinds)
            for name in ("coarse", "anchor", "refiner")
        }
        self.about = self.sessions["coarse"].get_modelmeta().custom_metadata_map
        self.neighbours = int(self.about["f2r_neighbours"])

    def run(self, name: str, **inputs: Array) -> list[Array]:
        """One network on arrays (..., H, W) whose sides are a multiple of `f2r_multiple`."""
        feed = {key: value[None] for key, value in inputs.items()}
        return [out[0] for out in self.sessions[name].run(None, feed)]


class Clip:
    """Frames with their coarse estimates and the motion between them, all held."""

    def __init__(self, graphs: Graphs, frames: list[Array], sigma: float) -> None:
        """sigma: standard deviation of the noise, of 255."""
        self.graphs = graphs
        self.size = height, width = frames[0].shape[-2:]
        unit = int(graphs.about["f2r_multiple"])
        room = [(0, 0), (0, -height % unit), (0, -width % unit)]
        self.noisy = [np.pad(frame, room, "edge") for frame in frames]
        self.level = np.full_like(self.noisy[0], sigma / 255)
        self.coarse = [graphs.run("coarse", noisy=f, level=self.level)[0] for f in self.noisy]
        self.looks = [halved(one.mean(0)) for one in self.coarse]
        self.known: dict[tuple[int, int], Array] = {}  # flows

    def restored(self, index: int) -> Array:
        """One frame, from itself and its neighbours."""
        height, width = self.size
        return self.estimate(index)[:, :height, :width]

    def estimate(self, index: int) -> Array:
        """The same with the rows and columns that it was grown by."""
        given_out = self.graphs.about["f2r_estimate"]  # what comes after it has learnt nothing yet
        around = self.window(index)
        if not around or given_out == "coarse":
            return self.coarse[index]
        shape = (self.graphs.neighbours, *self.noisy[index].shape)
        noisy, coarse = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        confidence = np.zeros((shape[0], 1, *shape[2:]), np.float32)  # 0: there is no neighbour
        for place, other in enumerate(around):
            flow = self.flow(index, other)
            noisy[place] = warp(self.noisy[other], flow)
            coarse[place] = warp(self.coarse[other], flow)
            agreement = consistency(flow, self.composed(other, index))
            confidence[place] = agreement.repeat(2, 0).repeat(2, 1)
        confidence[: len(around), 0] *= self.likeness(coarse[: len(around)], self.coarse[index])
        aligned = {"neighbours_noisy": noisy, "neighbours_coarse": coarse, "confidence": confidence}
        _, correction, weights, spread = self.graphs.run("anchor", **aligned, level=self.level)
        if given_out == "anchor":
            return self.coarse[index] + correction
        centre = {"noisy": self.noisy[index], "coarse": self.coarse[index], "level": self.level}
        anchor = {"correction": correction, "weights": weights, "spread": spread}
        return self.graphs.run("refiner", **centre, **anchor, **aligned)[0]

    def window(self, centre: int) -> list[int]:
        """The nearest frames, half on either side; at the ends it shifts inwards."""
        length = self.graphs.neighbours + 1
        first = max(min(centre - length // 2, len(self.noisy) - length), 0)
        return [i for i in range(first, min(first + length, len(self.noisy))) if i != centre]

    def flow(self, source: int, target: int) -> Array:
        """Where pixels of one frame lie in the other: shifts in x and y, (H/2, W/2, 2), halved."""
        if (source, target) not in self.known:
            start = None if abs(source - target) == 1 else self.composed(source, target)
            self.known[source, target] = search(self.looks[source], self.looks[target], start)
        return self.known[source, target]

    def composed(self, source: int, target: int) -> Array:
        """The same by way of all frames between them."""
        following = source + (1 if target > source else -1)
        first = self.flow(source, following)
        if following == target:
            return first
        return first + sample(self.composed(following, target), first)

    def likeness(self, warped: Array, centre: Array) -> Array:
        """How well neighbours (N, 3, H, W) match the centre at every pixel: 0..1, (N, H, W)."""
        floor, allowed = (
            float(self.graphs.about[f"f2r_mismatch_{name}"]) for name in ("floor", "allowed")
        )
        apart = np.stack([local_mean(in_cells(one - centre)) for one in warped])
        typical = max(float(np.median(apart[:, ::2, ::2])), floor)
        cells = 1 / (1 + (apart / (allowed * typical)) ** 2)
        return cells.repeat(2, 1).repeat(2, 2)


def halved(luma: Array) -> Array:
    """A picture (H, W) at half the size: motion is searched no finer."""
    return cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def search(source: Array, target: Array, start: Array | None) -> Array:
    """Dense inverse search on two pictures (H, W), stretched alike to 8 bits."""
    white = max(float(np.quantile(source[::2, ::2], 0.995)), 1e-3)
    room = [(0, max(SMALLEST - size, 0)) for size in source.shape]
    first, second = (
        np.pad((luma * (255 / white)).clip(0, 255).astype(np.uint8), room, "edge")
        for luma in (source, target)
    )
    start = None if start is None else np.pad(start, [*room, (0, 0)], "edge")
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)  # one that was used remembers
    dis.setFinestScale(0 if source.size < LARGE else 1)
    dis.setPatchSize(8)
    dis.setPatchStride(4 if start is None else 5)  # less to find from a flow that is close
    dis.setGradientDescentIterations(4 if start is None else 2)
    dis.setVariationalRefinementIterations(6 if start is None else 2)
    dis.setVariationalRefinementAlpha(60.0)
    return dis.calc(first, second, start)[: source.shape[0], : source.shape[1]].copy()


def sample(values: Array, flow: Array, kind: int = cv2.INTER_LINEAR) -> Array:
    """values (H, W, C) at p + flow(p); outside the picture its edge goes on."""
    return cv2.remap(values, landing(flow), None, kind, borderMode=cv2.BORDER_REPLICATE)


def warp(picture: Array, flow: Array) -> Array:
    """A picture (3, H, W) on the grid where the flow, of half the size, begins."""
    pixels, whole = picture.transpose(1, 2, 0).copy(), 2 * cv2.resize(flow, None, fx=2, fy=2)
    return sample(pixels, whole, cv2.INTER_CUBIC).transpose(2, 0, 1)


def consistency(forward: Array, backward: Array) -> Array:
    """Whether there and back ends where it began: 1, towards 0, and 0 outside the picture."""
    apart = ((forward + sample(backward, forward)) ** 2).sum(-1)
    allowed = 0.25 / 4 + 0.01 * ((forward**2).sum(-1) + (backward**2).sum(-1))
    place, edge = landing(forward), np.array(forward.shape[1::-1]) - 0.25
    inside = ((place > -0.75) & (place < edge)).all(-1)
    return (inside / (1 + apart / allowed)).astype(np.float32)


def landing(flow: Array) -> Array:
    """Where every pixel lies after the flow: x and y."""
    rows, columns = np.indices(flow.shape[:2], dtype=np.float32)
    return np.stack([columns, rows], -1) + flow


def in_cells(apart: Array) -> Array:
    """How far pictures (3, H, W) lie apart in luma and chroma, the mean of cells of 2x2 pixels."""
    far = np.abs(np.tensordot(LUMA_CHROMA, apart, 1)).mean(0)
    return far.reshape(far.shape[0] // 2, 2, -1, 2).mean((1, 3), dtype=np.float32)


def local_mean(values: Array) -> Array:
    """Mean over 3x3 cells, at the border over those inside; (h, w)."""
    both = (values, np.ones_like(values))
    total, count = (cv2.blur(one, (3, 3), borderType=cv2.BORDER_CONSTANT) for one in both)
    return total / count


def read(path: Path) -> tuple[list[Array], float]:
    """A clip's frames and how many there are a second."""
    capture, frames = cv2.VideoCapture(str(path)), []
    while (grabbed := capture.read())[0]:
        frames.append(grabbed[1][..., ::-1].transpose(2, 0, 1).astype(np.float32) / 255)
    return frames, capture.get(cv2.CAP_PROP_FPS)


def main() -> None:
    """The command line; the result is lossless (FFV1)."""
    parser = argparse.ArgumentParser(description="Restore a clip from exported graphs.")
    parser.add_argument("graphs", type=Path, help="folder that f2r export wrote, of RGB weights")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path, help="a new .mkv")
    parser.add_argument("--sigma", type=float, required=True, help="of the noise, of 255")
    asked = parser.parse_args()
    frames, rate = read(asked.source)
    clip = Clip(Graphs(asked.graphs), frames, asked.sigma)
    kind, size = cv2.VideoWriter_fourcc(*"FFV1"), frames[0].shape[:0:-1]
    writer = cv2.VideoWriter(str(asked.target), kind, rate, size)
    for index in range(len(frames)):
        codes = np.rint(255 * clip.restored(index)).clip(0, 255).astype(np.uint8)
        writer.write(np.ascontiguousarray(codes.transpose(1, 2, 0)[..., ::-1]))
    writer.release()
    print(f"{len(frames)} frames restored")


if __name__ == "__main__":
    main()
