"""Every branch gets everything, and nothing is held that nobody waits for."""

import weakref
from collections.abc import Iterator

from f2rcli.tee import tee_releasing


class Item:
    pass


def items(count: int, made: list[weakref.ref[Item]]) -> Iterator[Item]:
    for _ in range(count):
        item = Item()
        made.append(weakref.ref(item))
        yield item
        del item


def alive(made: list[weakref.ref[Item]]) -> int:
    return sum(reference() is not None for reference in made)


def test_branches_get_every_item_at_their_own_pace() -> None:
    first, second = tee_releasing(range(5), 2)
    assert [next(first), next(first), next(second)] == [0, 1, 0]
    assert list(second) == [1, 2, 3, 4]
    assert list(first) == [2, 3, 4]
    assert not list(second)


def test_an_item_is_let_go_once_all_have_taken_it() -> None:
    made: list[weakref.ref[Item]] = []
    first, second = tee_releasing(items(30, made), 2)
    for _ in range(20):
        next(first), next(second)
    assert alive(made) <= 1
    for _ in range(3):
        next(first)
    assert alive(made) == 3


def test_a_branch_that_is_dropped_holds_nothing_up() -> None:
    made: list[weakref.ref[Item]] = []
    first, second = tee_releasing(items(30, made), 2)
    del second
    for _ in range(20):
        next(first)
    assert alive(made) <= 1
