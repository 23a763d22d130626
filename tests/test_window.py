"""Windows: one per item, in order, never the centre among its neighbours, never across a cut."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f2rcli.window import LEAD_IN, LEAD_OUT, Window, mirrored, window_at, windows

lengths = st.sampled_from([1, 3, 5, 7, 9])


@given(count=st.integers(0, 20), length=lengths)
def test_every_item_is_a_centre_once_and_in_order(count: int, length: int) -> None:
    assert [w.centre for w in windows(range(count), length)] == list(range(count))


@given(count=st.integers(2, 20), length=lengths)
def test_the_centre_is_never_its_own_neighbour(count: int, length: int) -> None:
    for window in windows(range(count), length):
        span = [*window.before, window.centre, *window.after]
        assert window.centre not in window.neighbours
        assert span == list(range(span[0], span[0] + min(length, count)))


@given(shots=st.lists(st.integers(1, 8), min_size=1, max_size=5), length=lengths)
def test_no_window_reaches_across_a_cut(shots: list[int], length: int) -> None:
    items = [(shot, frame) for shot, size in enumerate(shots) for frame in range(size)]
    seen = list(windows(items, length, lambda a, b: a[0] == b[0]))
    assert [w.centre for w in seen] == items
    for window in seen:
        assert {shot for shot, _ in window.neighbours} <= {window.centre[0]}
        assert len(window.neighbours) == min(length, shots[window.centre[0]]) - 1


@pytest.mark.parametrize("place", range(6))
def test_a_window_is_mirrored_at_the_ends_of_its_shot(place: int) -> None:
    wanted = [abs(p) if p < 6 else 10 - p for p in range(place - 2, place + 3)]
    assert list(windows(range(6), 5))[place].around(2) == wanted


def test_a_mirror_never_leaves_a_short_shot() -> None:
    assert [mirrored(place, 0) for place in range(-2, 3)] == [0] * 5
    assert [mirrored(place, 1) for place in range(-2, 4)] == [0, 1, 0, 1, 0, 1]


def test_at_most_length_items_are_ahead_of_the_output() -> None:
    taken = 0

    def source() -> Iterator[int]:
        nonlocal taken
        while taken < 1000:
            taken += 1
            yield taken

    for window in windows(source(), 5):
        assert taken - window.centre <= 4  # 2 in the middle of a clip, 4 at its start


@pytest.mark.parametrize("length", [0, 2, -1])
def test_a_length_without_a_middle_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="odd"):
        next(windows([1], length))


def test_neighbours_are_in_temporal_order() -> None:
    middle = list(windows(range(9), 5))[4]
    assert middle == Window(4, (2, 3), (5, 6))
    assert middle.neighbours == (2, 3, 5, 6)


@given(st.integers(1, 12), st.sampled_from([1, 3, 5, 7]))
def test_a_single_window_is_that_of_the_stream(count: int, length: int) -> None:
    shot = list(range(count))
    for centre, window in enumerate(windows(shot, length)):
        assert window_at(shot, centre, length) == window


def test_an_item_is_held_against_the_one_just_before_it() -> None:
    """A slow fade is one shot, although its last frame is nothing like its first."""
    faded = list(windows(range(6), 3, lambda a, b: b - a == 1))
    assert [len(window.neighbours) for window in faded] == [2] * 6


def test_an_excerpt_reads_a_window_of_nine_beyond_its_end() -> None:
    assert (LEAD_IN, LEAD_OUT) == (24, 8)
