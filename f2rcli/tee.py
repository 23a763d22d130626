"""One stream of frames for several readers, each at its own pace."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar
from weakref import WeakSet

T = TypeVar("T")


class Branch(Iterator[T]):
    """One reader's view of a stream."""

    def __init__(self, tee: "_Tee[T]") -> None:
        self.tee = tee
        self.waiting: deque[T] = deque()

    def __next__(self) -> T:
        if not self.waiting:
            self.tee.pull()
        return self.waiting.popleft()


class _Tee(Generic[T]):
    """The stream, and who still reads it: a branch that is dropped is waited for no more."""

    def __init__(self, items: Iterable[T]) -> None:
        self.items = iter(items)
        self.branches: WeakSet[Branch[T]] = WeakSet()

    def pull(self) -> None:
        """Give the next item to every branch. Raises StopIteration at the end."""
        item = next(self.items)
        for branch in self.branches:
            branch.waiting.append(item)


def tee_releasing(items: Iterable[T], count: int) -> list[Branch[T]]:
    """As itertools.tee, but an item is let go once all have taken it; tee holds 57 at a time,
    which are gigabytes of large frames."""
    tee = _Tee(items)
    branches = [Branch(tee) for _ in range(count)]
    for branch in branches:
        tee.branches.add(branch)
    return branches
