"""Others on the same frames: FFmpeg's nlmeans in PyAV's own library, and a network of the shape of
FastDVDnet with random weights (Tassano et al., CVPR 2020: two cascaded stages over five frames)."""

import time
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import torch
from torch import Tensor, nn

from f2rcli.engine.device import autocast, choose_precision

NLMEANS = "s=6:p=7:r=15"


def nlmeans(clip: Path, count: int) -> float | None:
    """CPU seconds per frame of FFmpeg's non-local means on one thread; None without the filter."""
    if "nlmeans" not in av.filter.filters_available:
        return None
    with av.open(str(clip)) as container:
        frames = list(islice(container.decode(video=0), count))
    graph = av.filter.Graph()
    graph.threads = 1
    nodes = graph.add_buffer(template=None, width=frames[0].width, height=frames[0].height,
                             format=frames[0].format, time_base=Fraction(1, 25)), graph.add(
        "nlmeans", NLMEANS), graph.add("buffersink")  # fmt: skip
    graph.link_nodes(*nodes).configure()
    started = time.process_time()
    for frame in frames:
        graph.vpush(frame)
        graph.vpull()
    return (time.process_time() - started) / len(frames)


def _twice(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    sizes = ((inputs, outputs, stride), (outputs, outputs, 1), (outputs, outputs, 1))
    parts: list[nn.Module] = []
    for a, b, step in sizes[: 3 if stride == 2 else 2]:
        parts += [nn.Conv2d(a, b, 3, step, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU(True)]
    return nn.Sequential(*parts)


def _up(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        _twice(inputs, inputs), nn.Conv2d(inputs, 4 * outputs, 3, padding=1, bias=False),
        nn.PixelShuffle(2),
    )  # fmt: skip


class Block(nn.Module):
    """A denoising block: three frames, each with a map of the noise, become one."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(
            nn.Conv2d(12, 90, 3, padding=1, groups=3, bias=False), nn.BatchNorm2d(90),
            nn.ReLU(True), nn.Conv2d(90, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32),
            nn.ReLU(True),
        )  # fmt: skip
        self.down, self.deep = _twice(32, 64, 2), _twice(64, 128, 2)
        self.up, self.out = _up(128, 64), _up(64, 32)
        self.tail = nn.Sequential(
            nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(True),
            nn.Conv2d(32, 3, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """x (1, 12, H, W) -> (1, 3, H, W)."""
        whole = self.head(x)
        half = self.down(whole)
        up = self.up(self.deep(half))
        return x[:, 4:7] - self.tail(whole + self.out(half + up))


def fastdvdnet(width: int, height: int, *, cached: bool) -> float:
    """CPU seconds per frame on one thread: four blocks, or two with a reused first stage."""
    device = torch.device("cpu")
    torch.set_num_threads(1)
    blocks = [Block().eval().to(memory_format=torch.channels_last) for _ in range(2)]
    x = torch.rand(1, 12, height // 4 * 4, width // 4 * 4).to(memory_format=torch.channels_last)
    taken = []
    with torch.inference_mode(), autocast(device, choose_precision("auto", device)):
        for _ in range(3):
            started = time.process_time()
            for block in [blocks[0]] * (1 if cached else 3) + [blocks[1]]:
                block(x)
            taken.append(time.process_time() - started)
    return min(taken)
