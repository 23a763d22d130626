"""Several processes that train one network, each on its share of every batch.

    torchrun --nproc-per-node 2 -m f2rcli train ...

torchrun starts the processes and tells each of them its rank in the environment.
"""

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from f2rcli.errors import ConfigError, DeviceError, TrainingError
from f2rcli.system.machine import number_in


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """The processes of a run as one of them sees them."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """True for the process that writes files and reports to the user."""
        return self.rank == 0

    def share(self, batch: int) -> range:
        """This process's places in a batch. Raises ConfigError when some would have none."""
        if batch < self.world:
            raise ConfigError(
                f"batch={batch}: fewer samples than the {self.world} processes.",
                hint="Raise the batch, or start fewer processes.",
            )
        return range(self.rank, batch, self.world)

    def sum_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, the same bits in each of them."""
        if self.world == 1:
            return
        flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
        dist.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        with torch.no_grad():
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view(tensor.shape))

    def take_from_first_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by the first process's."""
        if self.world == 1:
            return
        for tensor in tensors:
            value = tensor.detach().contiguous()
            dist.broadcast(value, 0)
            with torch.no_grad():
                tensor.copy_(value)

    def check_same_step(self, step: int, device: torch.device) -> None:
        """Raises TrainingError in every process unless all go on from the same step."""
        total = torch.zeros(2, dtype=torch.float64, device=device)
        total += torch.tensor([step, step * step], dtype=torch.float64)
        self.sum_([total])
        mean, square = (total / self.world).tolist()
        if square != mean * mean:
            raise TrainingError(
                f"the {self.world} processes disagree on the step to resume from.",
                hint="All of them must see the same run folder.",
            )


ALONE = ProcessGroup()


def launched() -> bool:
    """True if torchrun (or anything that sets its variables) started this process."""
    return number_in("WORLD_SIZE", 1) > 1


@contextmanager
def joined(device: torch.device) -> Iterator[tuple[ProcessGroup, torch.device]]:
    """Meet the other processes; alone when there are none.

    Yields the group and this process's own device: its own GPU for `cuda`. gloo connects CPUs,
    NCCL connects GPUs. Raises DeviceError when there are more processes than GPUs, ConfigError
    where the processes cannot meet.
    """
    if not launched():
        yield ALONE, device
        return
    if device.type == "cuda":
        place = number_in("LOCAL_RANK", 0)
        if place >= torch.cuda.device_count():
            raise DeviceError(
                f"process {place} has no GPU: this machine has {torch.cuda.device_count()}.",
                hint="Start at most one process per GPU (torchrun --nproc-per-node).",
            )
        device = torch.device("cuda", place)
        torch.cuda.set_device(device)
    # torch.optim imports this module, which keeps whatever group it finds; imported first it finds
    # none. A group that is kept is never closed, and its threads abort the process as it ends.
    importlib.import_module("torch.distributed.nn")
    try:
        # Met by hand: groups are named by a count that a failure within init_process_group raises,
        # and processes whose counts differ wait for each other for ever.
        store, rank, size = next(rendezvous("env://"))
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=store, rank=rank, world_size=size,
        )  # fmt: skip
    except (ValueError, RuntimeError) as error:
        raise ConfigError(
            f"WORLD_SIZE asks for several processes, which cannot meet: {error}",
            hint="Start them with torchrun, or unset WORLD_SIZE.",
        ) from error
    try:
        yield ProcessGroup(dist.get_rank(), dist.get_world_size()), device
    finally:
        dist.destroy_process_group()
