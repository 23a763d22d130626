"""Functions of tensors that are recorded and replayed, by a recorder that stands in for CUDA's."""

from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from functools import partial
from threading import Barrier, Thread
from typing import Any

import pytest
import torch
from torch import Tensor

from f2rcli.models.layers import leaves, mapped
from f2rcli.models.recorded import (
    FIRST,
    MOST,
    CudaRecorder,
    Graphs,
    as_constant,
    constant,
    recording,
)


class Tape:
    """Records a function as CUDA does: a replay reads and writes the same memory."""

    def __init__(self) -> None:
        self.recorded, self.replays, self.let_go_of, self.room = 0, 0, 0, True

    def has_room(self) -> bool:
        return self.room

    def record(self, run: Callable[[], Any]) -> tuple[Callable[[], None], Any, Any]:
        self.recorded += 1
        made = run()
        with torch.inference_mode(False):
            result = mapped(made, torch.clone)

        def replay() -> None:
            self.replays += 1
            for place, made in zip(leaves(result), leaves(run()), strict=True):
                place.copy_(made)

        return replay, result, mapped(result, torch.clone)

    def let_go(self) -> None:
        self.let_go_of += 1


def doubled(x: Tensor) -> Tensor:
    return 2 * x


def test_functions_are_recorded_after_a_few_calls_and_results_are_the_callers() -> None:
    tape = Tape()
    graphs, results = Graphs(tape), []
    for value in range(6):
        results.append(graphs("doubled", doubled, torch.full((2, 3), float(value))))
    assert [float(one[1, 2]) for one in results] == [0, 2, 4, 6, 8, 10]
    assert (tape.recorded, tape.replays) == (1, 6 - FIRST + 1)  # once to compare
    results[-1].add_(1)  # not what the next is written into
    assert float(results[-2][0, 0]) == 8


def test_recordings_are_told_apart_by_name_shapes_types_and_mode() -> None:
    tape = Tape()
    graphs = Graphs(tape)
    x = torch.ones(4, 4)
    cases = [
        ("one", lambda x: x + 1, x), ("two", lambda x: x + 2, x), ("one", lambda x: x + 1, x[:2]),
        ("one", lambda x: x + 1, x.double()),
    ]  # fmt: skip
    for _ in range(FIRST + 2):
        for name, function, given in cases:
            assert torch.equal(graphs(name, function, given), function(given))
        with torch.inference_mode():
            assert torch.equal(graphs("one", cases[0][1], x), x + 1)
    assert tape.recorded == len(cases) + 1


def test_trees_go_in_and_come_out() -> None:
    graphs = Graphs(Tape())
    for value in (1.0, 2.0, 3.0, 4.0):
        x = torch.full((3,), value)
        first, (second, none) = graphs(
            "tree", lambda parts, more: (parts[0] + parts[1][0], (more[0], ())), [x, (x,)], (x,)
        )
        assert torch.equal(first, 2 * x)
        assert torch.equal(second, x)
        assert none == ()


def test_what_cannot_be_recorded_runs_as_it_is_for_good() -> None:
    class Broken(Tape):
        def record(self, run: Callable[[], Any]) -> tuple[Callable[[], None], Any, Any]:
            self.recorded += 1
            raise RuntimeError("operation not permitted when stream is capturing")

    class Wrong(Tape):
        def record(self, run: Callable[[], Any]) -> tuple[Callable[[], None], Any, Any]:
            _, result, wanted = super().record(run)
            return lambda: None, mapped(result, torch.zeros_like), wanted

    for tape in (Broken(), Wrong()):
        graphs = Graphs(tape)
        for value in (1.0, 2.0, 3.0, 4.0, 5.0):
            assert float(graphs("doubled", doubled, torch.full((1,), value))) == 2 * value
        assert tape.recorded == 1
        assert len(graphs.failures) == 1
        assert graphs.failures[0].startswith("doubled: ")


def test_without_room_nothing_is_recorded_and_without_a_recorder_neither() -> None:
    tape = Tape()
    tape.room = False
    for graphs in (Graphs(tape), Graphs(), Graphs.on(torch.device("cpu"))):
        for _ in range(5):
            assert float(graphs("doubled", doubled, torch.ones(()))) == 2
    assert tape.recorded == 0


def test_out_of_memory_gives_up_recordings_before_it_reaches_the_caller() -> None:
    tape, hungry = Tape(), [False]
    graphs, told = Graphs(tape), []
    graphs.short = lambda: told.append(1)

    def greedy(x: Tensor) -> Tensor:
        if hungry[0] and tape.let_go_of == 0:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return -x

    for _ in range(5):
        graphs("doubled", doubled, torch.ones(()))
    hungry[0] = True
    assert float(graphs("greedy", greedy, torch.ones(()))) == -1
    assert tape.let_go_of == len(told) == 1
    for _ in range(5):
        assert float(graphs("doubled", doubled, torch.ones(()))) == 2
    assert tape.recorded == 1  # not at once
    for _ in range(300):
        graphs("doubled", doubled, torch.ones(()))
    assert tape.recorded == 2  # but after a while
    graphs.drop()
    tape.let_go_of = 0
    with pytest.raises(torch.OutOfMemoryError):
        graphs("greedy", greedy, torch.ones(()))


def test_out_of_memory_while_recording_is_no_error() -> None:
    class Full(Tape):
        def record(self, run: Callable[[], Any]) -> tuple[Callable[[], None], Any, Any]:
            assert recording()
            raise torch.OutOfMemoryError("CUDA out of memory.")

    tape = Full()
    graphs = Graphs(tape)
    for _ in range(6):
        assert float(graphs("doubled", doubled, torch.ones(()))) == 2
    assert tape.let_go_of == 1
    assert not recording()


def test_what_is_part_of_something_recorded_is_not_recorded_by_itself() -> None:
    tape = Tape()
    graphs = Graphs(tape)
    for _ in range(5):
        outer = partial(graphs, "inner", doubled)
        assert float(graphs("outer", outer, torch.ones(()))) == 2
    assert tape.recorded == 1


def test_few_recordings_are_kept_and_the_oldest_go_first() -> None:
    tape = Tape()
    graphs = Graphs(tape)
    for name in range(MOST + 1):
        for _ in range(FIRST + 1):
            graphs(name, doubled, torch.ones(()))
    before = tape.recorded
    graphs(MOST, doubled, torch.ones(()))
    assert tape.recorded == before
    graphs(0, doubled, torch.ones(()))
    assert tape.recorded == before + 1


def test_constants_stay_as_long_as_what_reads_them() -> None:
    @constant(1)
    def three(value: float) -> Tensor:
        return torch.tensor(value)

    graphs = Graphs(Tape())
    for _ in range(FIRST + 2):
        graphs("sum", lambda x: x + three(3.0) + as_constant((1.0,), x), torch.ones(1))
    (known,) = graphs._recordings.values()
    assert {float(one) for one in known.held} == {3.0, 1.0}
    three(4.0)  # in its place


def test_clips_in_threads_do_not_meet() -> None:
    barrier, wrong = Barrier(4), []

    def clip(number: int) -> None:
        graphs = Graphs(Tape())
        barrier.wait()
        for step in range(50):
            x = torch.full((8,), float(100 * number + step))
            if not torch.equal(graphs("doubled", doubled, x), 2 * x):
                wrong.append((number, step))

    threads = [Thread(target=clip, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_cuda_is_left_as_it_was_where_recording_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """By stand-ins: torch.cuda would leave its own stream set and the pool in use."""
    log: list[str] = []

    class Stream:
        def wait_stream(self, other: object) -> None:
            log.append("waited")

    class Graph:
        def replay(self) -> None:
            log.append("replayed")

    @contextmanager
    def graph(made: Graph, pool: object, stream: Stream, *, capture_error_mode: str) -> Any:
        assert capture_error_mode == "thread_local"  # other clips go on
        yield
        if len(log) > 20:
            raise RuntimeError("capture failed")

    usual = Stream()
    there = {
        "device": lambda device: nullcontext(), "stream": lambda stream: nullcontext(),
        "current_stream": lambda: usual, "set_stream": lambda s: log.append(f"{s is usual}"),
        "Stream": Stream, "CUDAGraph": Graph, "graph": graph, "graph_pool_handle": lambda: (0, 1),
        "mem_get_info": lambda device: (10, 20), "memory_reserved": lambda device: 5,
        "memory_allocated": lambda device: 5, "max_memory_allocated": lambda device: 9,
        "current_device": lambda: 0,
    }  # fmt: skip
    for name, value in there.items():
        monkeypatch.setattr(torch.cuda, name, value)
    ended = "_cuda_endAllocateToPool"
    monkeypatch.setattr(torch._C, ended, lambda *of: log.append(f"{of}"), raising=False)
    monkeypatch.setattr(Tensor, "record_stream", lambda tensor, stream: None)
    graphs = Graphs(CudaRecorder(torch.device("cuda")))
    for _ in range(FIRST + 2):
        assert float(graphs("one", doubled, torch.ones(()))) == 2
    assert log == ["waited", "waited", "True", "replayed", "replayed", "replayed"][: len(log)]
    log += [""] * 20
    for _ in range(FIRST + 2):
        assert float(graphs("two", doubled, torch.ones(()))) == 2
    assert log[-2:] == ["True", "(0, (0, 1))"]
    assert graphs.failures == ["two: RuntimeError: capture failed"]
