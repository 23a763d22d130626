"""Two runs of one command for one target, one a random moment after the other."""

import json
import os
import sys
import time
from argparse import Namespace
from collections import Counter
from pathlib import Path

import numpy as np
from children import Ended, forked, whole_command
from kills import SAME, SLOWEST, Job, begun, keep_cache_in, listed, results

CODES = ([0, 0], [0, 1], [1, 0])  # done, and done again or refused


def raced(job: Job, work: Path, numbers: range, given: Namespace) -> Counter[str]:
    """How pairs of runs end: one result, that of an undisturbed run, and nothing beside it."""
    counts: Counter[str] = Counter()
    folder = begun(job, work)
    usual = forked(lambda: _run(job.words, folder), folder, most=SLOWEST)
    reference, settled = results(job, folder), listed(folder)
    if usual.code or not reference:
        return Counter({"cannot run": 1})
    for number in numbers:
        if time.monotonic() > given.until:
            print(f"races of {job.name}: go on with --seed {given.seed} --first {number}")
            break
        rng = np.random.default_rng((given.seed, 2, number))
        words = tuple(word for word in job.words if word != "--overwrite" or number % 2)
        folder = begun(job, work)
        ended, codes = _both(words, folder, usual.seconds * float(rng.random()) ** 2)
        kind = _kind(ended, codes)
        if kind == SAME and results(job, folder) != reference:
            kind = "other result"
        elif kind == SAME and listed(folder) != settled:
            kind = "left behind"
        if kind != SAME:
            print(f"{kind}: {job.name} {number} {codes}: {ended.words[-500:]}", file=sys.stderr)
        counts[kind] += 1
    return counts


def _kind(ended: Ended, codes: list[int]) -> str:
    errors = [line for line in ended.words.splitlines() if line.startswith("error: ")]
    if ended.hung:
        return "hang"
    if 70 in codes or min(codes) < 0:
        return "exit 70" if 70 in codes else "crash"
    return SAME if codes in CODES and len(errors) == sum(codes) else "no error line"


def _both(words: tuple[str, ...], folder: Path, later: float) -> tuple[Ended, list[int]]:
    """How two runs end, the second of which begins so many seconds later."""
    found = folder.parent / "codes.json"
    found.write_text("[-1, -1]")

    def work() -> int:
        second = os.fork()
        if not second:
            code = 1 << 7
            try:
                time.sleep(later)
                code = _run(words, folder)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        first = _run(words, folder)
        codes = [first, os.waitstatus_to_exitcode(os.waitpid(second, 0)[1])]
        found.write_text(json.dumps(codes))
        return 0

    ended = forked(work, folder, most=SLOWEST)
    return ended, json.loads(found.read_text())


def _run(words: tuple[str, ...], folder: Path) -> int:
    keep_cache_in(folder)
    return whole_command(list(words))
