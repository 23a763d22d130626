"""Delay signals that end a run until the current step is done."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

ENDING = [  # Windows has no SIGHUP
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class Interruption:
    """Holds back the first signal; the handler before gets it at the end.

    So Ctrl-C is still a KeyboardInterrupt, and SIGTERM whatever the program makes of it. A second
    signal is passed on at once. Outside the main thread, where Python takes no signals, this does
    nothing.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = before
                    signal.signal(number, self._hear)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._restore()
        if self.signal is not None and error is None:
            self._pass_on(self.signal, None)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = number
            return
        self._restore()
        self._pass_on(number, frame)

    def _restore(self) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        before: Callable[[int, FrameType | None], Any] | Any = self._before[number]
        if callable(before):
            before(number, frame)
        else:
            signal.raise_signal(number)
