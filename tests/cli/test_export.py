"""`f2r export`: graphs that compute what torch computes, and a clip restored from them alone."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from f2rcli import weights
from f2rcli.cli.app import run
from f2rcli.engine.stream import EngineSettings, denoise_stream, load_engine
from f2rcli.errors import EXIT_FAILURE, EXIT_OK, EXIT_USAGE
from f2rcli.export import NAMES, OPSET
from f2rcli.frames import ClipInfo, Family, Frame, PlaneLayout
from f2rcli.models.planar import CentreFrame, Neighbours, Networks
from f2rcli.planes import LAYOUTS, ROTATION, Layout, pack, unpack
from f2rcli.weights import Estimate
from tests.cli.conftest import Done
from tests.fidelity.footage import psnr

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx_denoise.py"
ALL = ["f2r-lite", "f2r-full-mosaic"]  # others share their graphs; `tiny` is a gray one
WIDTHS = (8, 8)
TINY = {
    "layouts": ["gray"], "coarse": {"widths": WIDTHS}, "anchor": {"widths": WIDTHS, "hidden": 8},
    "refiner": {"widths": WIDTHS, "embed": 8},
}  # fmt: skip
SIZES = [(1, 40, 64), (2, 72, 24)]  # pictures, height, width
SIGMA = 20.0
TOLERANCE = 1e-4  # one fortieth of an 8-bit code

Codes = NDArray[np.uint8]  # (H, W, 3)
Export = Callable[..., Done]


@pytest.fixture
def export(f2r: Callable[..., Done]) -> Callable[..., Done]:
    """`f2r export`."""
    return lambda *arguments: f2r("export", *arguments)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Weights by name -> the folder they were exported to, once."""
    root = tmp_path_factory.mktemp("graphs")

    def folder(name: str) -> Path:
        target = root / name
        if not target.exists():
            assert run(["export", name, "-o", str(target), "--quiet"]) == EXIT_OK
        return target

    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained networks as small as they can be: what is in the graphs does not matter."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    header = weights.load("f2r-lite").header
    header = replace(header, space=Family.GRAY, channels=1, config=TINY)
    torch.manual_seed(0)
    weights.save(path, header, Networks(header.config).state_dict())
    return path


def networks(name: str) -> Networks:
    """The weights in torch, as the engine loads them."""
    chosen = weights.load(name)
    return chosen.network(lambda: Networks(chosen.header.config)).eval()


def packed(layout: Layout, pictures: torch.Tensor) -> torch.Tensor:
    """Pictures (..., C, H, W) as networks see them."""
    return pack(layout, list(pictures.unbind(-3)))


def unpacked(layout: Layout, cells: torch.Tensor) -> torch.Tensor:
    return torch.stack(unpack(layout, cells), -3)


def doubled(maps: torch.Tensor) -> torch.Tensor:
    return maps.repeat_interleave(2, -1).repeat_interleave(2, -2)


def computed(session: Any, given: dict[str, torch.Tensor]) -> list[Any]:
    """What onnxruntime makes of those of the tensors that a graph takes."""
    return session.run(None, {one.name: given[one.name].numpy() for one in session.get_inputs()})


@pytest.mark.parametrize("name", ALL)
def test_the_graphs_give_what_torch_gives(folders: Callable[[str], Path], name: str) -> None:
    how = runtime.SessionOptions()
    how.intra_op_num_threads = 1  # others wait by spinning
    sessions = [runtime.InferenceSession(folders(name) / file, how) for file in NAMES]
    for size in SIZES:
        given, expected = chained(name, *size)
        for file, session, wanted in zip(NAMES, sessions, expected, strict=True):
            for one, other in zip(computed(session, given), wanted, strict=True):
                assert np.abs(one - other.numpy()).max() < TOLERANCE, file


def chained(
    name: str, pictures: int, height: int, width: int
) -> tuple[dict[str, torch.Tensor], list[list[torch.Tensor]]]:
    """Every input of the graphs by name, and what torch makes of them, graph by graph."""
    header = weights.load(name).header
    channels, count = header.channels, header.length - 1
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(pictures, *shape, height, width, generator=generator)

    given = {"noisy": random(channels), "level": 0.2 * random(channels)}
    given |= {f"neighbours_{kind}": random(count, channels) for kind in ("noisy", "coarse")}
    given["confidence"] = random(count, 1)
    given["confidence"][:, -1] = 0  # a window that is one neighbour short
    torchs, layout = networks(name), LAYOUTS["rgb" if channels == 3 else "mosaic"]
    given["level"][...] = given["level"][..., :1, :1]  # the same in every sample of a channel
    squares = given["level"][:, :, ::2, ::2].square()
    if layout.rotated:
        squares = torch.einsum("pc,bchw->bphw", torch.tensor(ROTATION).float() ** 2, squares)
    told = torch.cat([squares.sqrt(), torch.zeros_like(squares)], 1)
    given["confidence"] = doubled(given["confidence"][..., ::2, ::2])
    sure = given["confidence"][..., ::2, ::2]
    with torch.inference_mode():
        noisy = packed(layout, given["noisy"])
        coarse = torchs.coarse(layout, noisy, told)
        given["coarse"] = unpacked(layout, coarse)
        pictures = (packed(layout, given[f"neighbours_{kind}"]) for kind in ("noisy", "coarse"))
        seen = Neighbours(*pictures, sure, sure.clamp_min(1))
        anchor = torchs.anchor(layout, seen, told)
        given["correction"] = unpacked(layout, anchor.correction)
        given["weights"], given["spread"] = doubled(anchor.weights), doubled(anchor.spread)
        refined = torchs.refiner(layout, CentreFrame(noisy, coarse), told, anchor, seen)
    wanted = [unpacked(layout, anchor.strict), *(given[n] for n in ("correction", "weights"))]
    wanted.append(given["spread"])
    return given, [[given["coarse"]], wanted, [unpacked(layout, refined)]]


@pytest.mark.parametrize("name", ALL)
def test_the_files_say_what_a_program_must_know(folders: Callable[[str], Path], name: str) -> None:
    folder, chosen = folders(name), weights.load(name)
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)
    docs = (EXAMPLE.parents[1] / "docs" / "python.md").read_text()
    for file in NAMES:
        model = onnx.load_model(folder / file)
        assert [one.version for one in model.opset_import if one.domain == ""] == [OPSET]
        known = {one.key: one.value for one in model.metadata_props}
        assert known["f2r_weights"] == name
        assert known["f2r_weights_sha256"] == chosen.sha256
        assert known["f2r_planes"] == ("R G1 B G2" if "mosaic" in name else "R G B")
        assert known["f2r_neighbours"] == str(chosen.header.length - 1)
        tensors = [one.name for one in (*model.graph.input, *model.graph.output)]
        assert all(f"`{word}`" in docs for word in (*known, *tensors))


def test_files_that_are_there_stay(export: Export, tiny: Path, tmp_path: Path) -> None:
    """Events, an existing folder, weights by path."""
    first, tmp_path = tmp_path / "first", tmp_path / "again"
    assert export(tiny, "-o", first).code == EXIT_OK
    tmp_path.mkdir()
    mine = tmp_path / "anchor.onnx"
    mine.write_bytes(b"mine")
    done = export(tiny, "-o", tmp_path)
    assert done.code == EXIT_FAILURE
    assert "again: already exists" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["anchor.onnx"]
    assert mine.read_bytes() == b"mine"
    done = export(tiny, "-o", tmp_path, "--overwrite", "--json")
    assert done.code == EXIT_OK, done.err
    result = json.loads(done.out.splitlines()[-1])
    assert result["event"] == "result"
    assert result["files"] == list(NAMES)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES)
    for name in NAMES:
        assert (first / name).read_bytes() == (tmp_path / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("f2r-ful", EXIT_USAGE, "Did you mean f2r-full?"),
        ("nowhere.safetensors", EXIT_FAILURE, "neither a bundled name nor a file"),
        ("udvd-rgb-small", EXIT_FAILURE, "method udvd; only f2r's are exported"),
    ],
)
def test_refused_weights(export: Export, tmp_path: Path, name: str, code: int, said: str) -> None:
    done = export(name, "-o", tmp_path / "graphs")
    assert done.code == code
    assert said in done.err
    assert "Traceback" not in done.err
    assert not list(tmp_path.iterdir())


def test_folders_that_cannot_be_written(export: Callable[..., Done], tmp_path: Path) -> None:
    done = export("f2r-lite", "-o", tmp_path / "no" / "graphs")
    assert (done.code, "does not exist" in done.err) == (EXIT_FAILURE, True)
    (tmp_path / "file").write_text("mine")
    done = export("f2r-lite", "-o", tmp_path / "file")
    assert (done.code, "is a file" in done.err) == (EXIT_FAILURE, True)


def test_without_onnx_one_line_says_so(export: Export, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    done = export("f2r-lite", "-o", tmp_path / "graphs")
    assert done.code == EXIT_FAILURE
    assert "pip install onnx" in done.err
    assert not list(tmp_path.iterdir())


def moving(count: int) -> list[Codes]:
    """Soft waves that drift."""
    rows, columns = np.mgrid[0:84, 0:108].astype(np.float64)  # no multiples of 8
    waves = [(9.0, 13.0), (17.0, 7.0), (11.0, 23.0)]
    pictures = (
        [np.sin((columns + 1.5 * t) / a) * np.cos((rows + t / 2) / b) for a, b in waves]
        for t in range(count)
    )
    return [np.rint(128 + 70 * np.stack(planes, -1)).astype(np.uint8) for planes in pictures]


def noised(frames: list[Codes]) -> list[Codes]:
    rng = np.random.default_rng(7)
    louder = (np.rint(f + rng.normal(0, SIGMA, f.shape)) for f in frames)
    return [f.clip(0, 255).astype(np.uint8) for f in louder]


def by_example(graphs: Path, frames: list[Codes], folder: Path) -> list[Codes]:
    """What the example makes of them, in a process that cannot import torch or f2r."""
    source, target = folder / "noisy.mkv", folder / "restored.mkv"
    size = frames[0].shape[1::-1]
    writer = cv2.VideoWriter(str(source), cv2.VideoWriter_fourcc(*"FFV1"), 25, size)
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    arguments = [str(EXAMPLE), str(graphs), str(source), str(target), "--sigma", str(SIGMA)]
    script = (
        f"import runpy, sys; sys.modules |= dict.fromkeys(['torch', 'f2rcli']); "
        f"sys.argv = {arguments!r}; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{len(frames)} frames restored" in done.stdout
    capture, restored = cv2.VideoCapture(str(target)), []
    while (grabbed := capture.read())[0]:
        restored.append(grabbed[1][..., ::-1])
    return restored


def by_engine(frames: list[Codes], name: str = "f2r-full") -> list[Codes]:
    """What f2r makes of them with the same weights and level, without the contract."""
    layout, tick = PlaneLayout(family=Family.RGB, bits=8), Fraction(1, 25)
    height, width = frames[0].shape[:2]
    info = ClipInfo(
        name="drift", width=width, height=height, layout=layout, frames=len(frames),
        duration=len(frames) / 25, rate=Fraction(25), time_base=tick,
    )  # fmt: skip
    given = (
        Frame(planes=tuple(f.transpose(2, 0, 1)), layout=layout, pts=i, duration=1, time_base=tick)
        for i, f in enumerate(frames)
    )
    settings = EngineSettings(weights=name, sigma=SIGMA, device="cpu", precision="fp32")
    engine = load_engine(settings, info)
    engine.contract.allowed = lambda frame, change, context: change
    done = denoise_stream(given, info, engine)
    return [np.stack(frame.planes, -1) for frame in done]


@pytest.mark.parametrize("estimate", [Estimate.COARSE, Estimate.ANCHOR])
def test_the_example_gives_out_what_the_weights_do(tmp_path: Path, estimate: Estimate) -> None:
    """Once the refiner's, which had learnt nothing yet."""
    path, header = tmp_path / "a.safetensors", weights.load("f2r-lite").header
    state = networks("f2r-lite").state_dict()
    weights.save(path, replace(header, estimate=estimate), state)
    assert run(["export", str(path), "-o", str(tmp_path / "graphs"), "--quiet"]) == EXIT_OK
    noisy = noised(moving(3))
    restored = by_example(tmp_path / "graphs", noisy, tmp_path)
    assert psnr(restored, by_engine(noisy, str(path))) > 60


def test_the_example_restores_as_f2r_does(folders: Callable[[str], Path], tmp_path: Path) -> None:
    """The first four frames have one window, whose oldest frame has no past to remember: the
    example and f2r differ by rounding alone (one code here and there). From the fifth frame on f2r
    has its memory in place of the oldest neighbour; the example has that neighbour itself (52.6 dB
    apart, 0.05 dB of quality measured)."""
    clean = moving(9)
    noisy = noised(clean)
    restored, expected = by_example(folders("f2r-full"), noisy, tmp_path), by_engine(noisy)
    assert psnr(restored[:4], expected[:4]) > 60
    assert psnr(restored, expected) > 40
    assert abs(psnr(restored, clean) - psnr(expected, clean)) < 0.5
    assert psnr(restored, clean) > psnr(noisy, clean) + 8
