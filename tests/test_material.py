"""Training material: one seed and index, one sample, with the truth beside it."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from f2rcli import yuv
from tests.video import write_video

PRETRAINING = Path(__file__).parent.parent / "benchmarks" / "pretraining"
if not PRETRAINING.is_dir():
    pytest.skip("the benchmarks are not part of this copy", allow_module_level=True)
sys.path.insert(0, str(PRETRAINING))

from drawn import OVER_FILM, SCENES  # noqa: E402  # found by the path above
from material import LAYOUTS, Material  # noqa: E402
from sensor import CRVD_BLACK, CRVD_WHITE  # noqa: E402

SIZE, FRAMES = 64, 3


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one clip of soft hills."""
    folder = tmp_path_factory.mktemp("clips")
    y, x = np.indices((176, 240))
    hills = (120 + 80 * np.sin((x + 2 * time) / 17) * np.cos(y / 13) for time in range(4))
    pictures = (np.repeat(gray[..., None], 3, -1).astype(np.uint8) for gray in hills)
    write_video(folder / "hills.mkv", pictures, "bgr0")
    return folder


def test_a_sample_depends_on_its_seed_and_index_alone(clips: Path) -> None:
    one, other = (Material(clips, 3, SIZE, FRAMES) for _ in range(2))
    first = [one[index] for index in range(6)]
    for index in (4, 0, 5, 2):
        again = other[index]
        assert (again.scene, again.kind) == (first[index].scene, first[index].kind)
        for a, b in zip(first[index].noisy, again.noisy, strict=True):
            np.testing.assert_array_equal(a, b)
    assert any(
        not np.array_equal(a.noisy[0], Material(clips, 4, SIZE, FRAMES)[i].noisy[0])
        for i, a in enumerate(first[:2])
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_planes_are_whole_codes_of_their_layout(clips: Path, layout: str) -> None:
    sample = Material(clips, 5, SIZE, FRAMES, [layout])[1]
    assert len(sample.noisy) == (4 if layout == "mosaic" else sample.layout.colour_planes)
    for index, plane in enumerate(sample.noisy):
        zero, span = (
            (CRVD_BLACK, CRVD_WHITE - CRVD_BLACK)
            if layout == "mosaic"
            else yuv.code_span(sample.layout, index)
        )
        codes = plane * span + zero
        np.testing.assert_allclose(codes, np.rint(codes), atol=0.02)


def test_the_map_is_how_strong_the_noise_is(clips: Path) -> None:
    material, seen = Material(clips, 6, SIZE, FRAMES, ["444"], drawn_share=0.0), 0
    for index in range(40):
        sample = material[index]
        if sample.kind not in ("white", "coarse"):
            continue
        for clean, noisy, level in zip(*(part[1:] for part in sample[1:4]), strict=True):
            if level.mean() > 1 / 224 and np.abs(clean).max() + 4 * level.max() < 0.5:
                rounding = (1 / 224) ** 2 / 12
                found = np.sqrt(np.mean((noisy - clean) ** 2))
                assert found == pytest.approx(np.sqrt(np.mean(level**2) + rounding), rel=0.1)
                seen += 1
    assert seen


def test_what_is_clean_has_no_noise_and_what_a_codec_did_is_told(clips: Path) -> None:
    material = Material(clips, 7, SIZE, FRAMES, ["420"])
    kinds = {}
    for index in range(40):
        sample = material[index]
        kinds.setdefault(sample.kind.split(",")[0] if "," not in sample.kind else "coded", sample)
    clean, coded = kinds["none"], kinds["coded"]
    assert all(np.array_equal(a, b) for a, b in zip(clean.clean, clean.noisy, strict=True))
    assert not any(part.any() for part in (*clean.noise, *clean.coding))
    assert any(part.any() for part in coded.coding)


@pytest.mark.parametrize("name", [*SCENES, *OVER_FILM])
def test_every_scene_is_drawn_within_black_and_white(name: str) -> None:
    rng = np.random.default_rng(1)
    film = (np.full((FRAMES, SIZE, SIZE, 3), 0.5, np.float32),)
    scene = (
        SCENES[name](rng, FRAMES, SIZE)
        if name in SCENES
        else OVER_FILM[name](rng, FRAMES, SIZE, *film)
    )
    assert scene.shape == (FRAMES, SIZE, SIZE, 3)
    assert scene.dtype == np.float32
    assert -1e-3 <= scene.min() <= scene.max() <= 1 + 1e-3


def test_what_it_takes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "fuse", "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(PRETRAINING / "train.py"), run_name="__main__")
    assert "lite" in capsys.readouterr().out
