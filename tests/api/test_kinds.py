"""The same kind of array comes back as was given, with what belongs to it; and a report."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import f2rcli
from f2rcli.errors import InputError, UsageError

FRAMES, SIDE = 7, 32
GAIN, OFFSET = 6.0, 100.0


def photons(frames: int = FRAMES) -> NDArray[np.float64]:
    """A drifting ramp (T, H, W), 5 to 45 photons."""
    ramp = np.add.outer(np.arange(SIDE), np.arange(SIDE)) % 40 + 5.0
    return np.stack([np.roll(ramp, number, 1) for number in range(frames)])


def counts(frames: int = FRAMES, seed: int = 0) -> NDArray[np.uint16]:
    drawn = np.random.default_rng(seed).poisson(photons(frames))
    return (OFFSET + GAIN * drawn).astype(np.uint16)


@pytest.fixture(scope="module")
def stack() -> NDArray[np.uint16]:
    return counts()


@pytest.fixture
def restored(stack: NDArray[np.uint16], coarse_alone: None) -> NDArray[np.uint16]:
    return f2rcli.denoise(stack)


def test_a_report_tells_the_noise_in_the_arrays_units(stack) -> None:
    done, report = f2rcli.denoise(stack, return_report=True)
    (noise,) = report.noise
    assert noise.gain[0] == pytest.approx(GAIN, rel=0.2)
    value = OFFSET + GAIN * 25
    assert noise.at(value) == pytest.approx(GAIN * 5, rel=0.15)
    assert noise.sigma[0] == pytest.approx(GAIN * 5, rel=0.15)
    assert (report.frames, report.method, report.device) == (FRAMES, "f2r", "cpu")
    assert "variance" in str(report)
    assert report.weights in str(report)
    truth = OFFSET + GAIN * photons()
    assert np.std(done - truth) < 0.5 * np.std(stack - truth)
    assert abs(done.mean((1, 2)) / stack.mean((1, 2)) - 1).max() < 2e-4


def test_axes_may_come_in_any_order(stack, restored) -> None:
    done = f2rcli.denoise(stack.transpose(1, 2, 0), axes="yxt")
    np.testing.assert_array_equal(done.transpose(2, 0, 1), restored)


def test_an_output_is_filled_and_may_be_the_input(stack, restored, tmp_path: Path) -> None:
    memory = np.memmap(tmp_path / "out", stack.dtype, "w+", shape=stack.shape)
    assert f2rcli.denoise(stack, memory) is memory
    np.testing.assert_array_equal(memory, restored)
    for kind in (np.asarray, torch.from_numpy):
        given = kind(stack.copy())
        assert f2rcli.denoise(given, given) is given
        np.testing.assert_array_equal(np.asarray(given), restored)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_a_camera_may_use_one_buffer_for_all_frames(kind, stack, coarse_alone: None) -> None:
    buffer = np.empty_like(stack[0])

    def camera() -> Iterator[Any]:
        for frame in stack:
            buffer[...] = frame
            yield kind(buffer)

    expected = np.stack(list(f2rcli.denoise(iter(stack))))
    np.testing.assert_array_equal(np.stack(list(f2rcli.denoise(camera()))), expected)
    with f2rcli.Denoiser() as live:
        done = [ready for frame in camera() for ready in live.push(frame)] + live.flush()
    np.testing.assert_array_equal(np.stack(done), expected)


def test_an_output_that_cannot_be_written_is_told_at_once(stack, tmp_path: Path) -> None:
    frozen = stack.copy()
    frozen.setflags(write=False)
    with pytest.raises(UsageError, match=r"output=\(7, 32, 32\) uint16: cannot be written"):
        f2rcli.denoise(stack, frozen)
    zarr, h5py = pytest.importorskip("zarr"), pytest.importorskip("h5py")
    zarr.save_array(tmp_path / "a.zarr", stack)
    with pytest.raises(UsageError, match="cannot be written"):
        f2rcli.denoise(stack, zarr.open_array(tmp_path / "a.zarr", mode="r"))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = stack
    with h5py.File(tmp_path / "a.h5", "r") as file, pytest.raises(UsageError, match="written"):
        f2rcli.denoise(stack, file["a"])


def test_a_mask_is_refused_and_nan_stands_for_it(stack, coarse_alone: None) -> None:
    mask = np.zeros(stack.shape, bool)
    mask[:, 10:14, 10:14] = True
    masked = np.ma.masked_array(np.where(mask, 60000, stack).astype(stack.dtype), mask)
    for given in (masked, list(masked), iter(masked)):
        with pytest.raises(InputError, match="a masked array") as refused:
            list(f2rcli.denoise(given))
        assert ".astype('float32').filled(numpy.nan)" in str(refused.value.hint)
    done = f2rcli.denoise(masked.astype("float32").filled(np.nan))
    np.testing.assert_array_equal(np.isnan(done), mask)
    truth = OFFSET + GAIN * photons()
    around = np.zeros(stack.shape, bool)
    around[:, 6:18, 6:18] = ~mask[:, 6:18, 6:18]
    assert np.std((done - truth)[around]) < 0.6 * np.std((stack - truth)[around])


def test_what_has_a_shape_and_samples_gives_numpy(stack) -> None:
    stored = SimpleNamespace(shape=stack.shape, dtype=stack.dtype)
    kind = type("Dataset", (), {"__getitem__": lambda self, place: stack[place], **vars(stored)})
    np.testing.assert_array_equal(f2rcli.denoise(kind(), strength=0), stack)


def test_a_zarr_array_is_read_and_filled(stack) -> None:
    zarr = pytest.importorskip("zarr")
    given, other = (
        zarr.create_array({}, shape=stack.shape, dtype=stack.dtype, chunks=(1, 32, width))
        for width in (16, 32)
    )
    given[...] = stack
    np.testing.assert_array_equal(f2rcli.denoise(given, strength=0), stack)
    assert f2rcli.denoise(given, other, strength=0) is other
    np.testing.assert_array_equal(other[...], stack)


def test_xarray_keeps_coordinates_and_attributes(stack) -> None:
    xarray = pytest.importorskip("xarray")
    given = xarray.DataArray(
        np.stack([stack, stack + 5], axis=1), dims=("time", "channel", "y", "x"), name="calcium",
        coords={"time": np.arange(FRAMES) / 30, "channel": ["gcamp", "red"]},
        attrs={"unit": "counts"},
    )  # fmt: skip
    done = f2rcli.denoise(given, strength=0)
    assert done.identical(given)
    assert done.data is not given.data
    assert f2rcli.denoise(given.chunk({"time": 4}), strength=0).identical(given)
    with pytest.raises(UsageError, match="dimensions time, channel, y, when: which axes"):
        f2rcli.denoise(given.rename(x="when"))
    with pytest.raises(InputError, match="a group of arrays"):
        f2rcli.denoise(given.to_dataset())


def test_a_lazy_array_is_computed_picture_by_picture(stack) -> None:
    da = pytest.importorskip("dask.array")
    done = f2rcli.denoise(da.from_array(stack, chunks=(3, 16, 32)), strength=0)
    assert isinstance(done, np.ndarray)
    np.testing.assert_array_equal(done, stack)


def test_frames_with_names_give_numpy(stack) -> None:
    xarray = pytest.importorskip("xarray")
    frames = [xarray.DataArray(picture, dims=("y", "x")) for picture in stack]
    for given in (frames, iter(frames)):
        done = list(f2rcli.denoise(given, strength=0))
        assert all(np.array_equal(one, picture) for one, picture in zip(done, stack, strict=True))


def test_frames_of_several_channels_are_refused_and_an_array_of_them_is_not(stack) -> None:
    pair = np.stack([stack[:, :24, :24], stack[:, 8:, 8:]], axis=1)
    np.testing.assert_array_equal(f2rcli.denoise(pair, axes="TCYX", strength=0), pair)
    with pytest.raises(UsageError, match="2 pictures each") as refused:
        next(f2rcli.denoise(iter(pair), axes="CYX"))
    assert "each channel and depth by itself" in str(refused.value.hint)
    with f2rcli.Denoiser(axes="CYX") as live, pytest.raises(UsageError, match="2 pictures each"):
        live.push(pair[0])


def test_an_iterators_report_fills_as_frames_are_taken(stack, coarse_alone: None) -> None:
    results, report = f2rcli.denoise(iter(stack[:4]), return_report=True)
    assert not report.noise
    assert len(list(results)) == report.frames == 4
    assert [noise.lane for noise in report.noise] == [""]


def test_a_sigma_that_is_given_counts_the_arrays_own_units(stack, coarse_alone: None) -> None:
    _, report = f2rcli.denoise(stack[:6], sigma=2.0, return_report=True)
    assert report.noise[0].sigma == pytest.approx((2.0,))
    (line,) = [note for note in report.notes if note.startswith("sigma=2 is used, though ")]
    assert float(line.split()[4]) == pytest.approx(GAIN * 5, rel=0.2)
