"""A hash of what changes a batch's results: clips made with other settings are made again."""

import hashlib
import json
from collections.abc import Mapping

from f2rcli import weights

# Options that do not change a result: a batch may go on with other values of these.
NEUTRAL = {"overwrite", "keep_partial", "resume", "device", "tile", "threads"}


def settings_hash(options: Mapping[str, list[str]], weights_name: str | None) -> str:
    """The SHA-256 of every option that changes a result, and of the weights' bytes."""
    telling = {name: words for name, words in options.items() if name not in NEUTRAL}
    telling["weights"] = [weights.mark(weights_name)]
    return hashlib.sha256(json.dumps(telling, sort_keys=True).encode()).hexdigest()
