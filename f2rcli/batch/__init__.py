"""Many clips: what they are, where they go, what is done already, and who denoises them."""

from f2rcli.batch.clips import Clip, clips_in, find_clips
from f2rcli.batch.pools import dask_library, run_in_processes, run_on_dask
from f2rcli.batch.records import Outcome, Records

__all__ = ["Clip", "Outcome", "Records", "clips_in", "dask_library", "find_clips",
           "run_in_processes", "run_on_dask"]  # fmt: skip
