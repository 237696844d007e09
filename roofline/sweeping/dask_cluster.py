"""Parts of a sweep on a Dask cluster: the scheduler does again what a lost worker had, this process writes.

Results come back as whole Parquet files and are written here, so that workers need no file system in common. A part is
a pure function of the grid, so that one which was done twice is written once, the same.
"""

from __future__ import annotations

import importlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from roofline.errors import OptionError
from roofline.extras import optional_import
from roofline.number_format import plural
from roofline.progress import Report
from roofline.surfaces import argument
from roofline.sweeping.columns import parquet
from roofline.sweeping.folder import Folder
from roofline.sweeping.grid import Grid

LOCAL = "local"
"""The address that stands for a cluster of processes of this machine."""
CONNECT_S = 10
"""Seconds after which a scheduler counts as unreachable."""
_AHEAD = 3
"""Parts under way for each thread of a worker: none waits, and few results wait here."""
_RETRIES = 3


@contextmanager
def connect(address: str) -> Generator[Any]:
    """Connect to a scheduler, or start a local cluster, as long as the context lives.

    Args:
        address: ``tcp://host:8786``, or `LOCAL`.

    Raises:
        MissingPackageError: Dask is not installed.
        OptionError: No scheduler answers there, or it has no workers.
    """
    with optional_import("A sweep on a Dask cluster"):
        distributed = importlib.import_module("distributed")
    try:
        if address == LOCAL:
            client = distributed.Client(processes=True, dashboard_address=None)
        else:
            client = distributed.Client(address, timeout=CONNECT_S)
    except (OSError, ValueError, TypeError) as error:
        raise OptionError(
            f"no Dask scheduler answers at {address} ({type(error).__name__})",
            repair=f"Start one: dask scheduler; or use this machine: {argument('dask').at('local')}",
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_S)
        except TimeoutError as error:
            raise OptionError(
                f"the Dask scheduler at {address} has no workers",
                repair=f"Start one on each machine: dask worker {address}",
            ) from error
        yield client


def run_on(client: Any, grid: Grid, folder: Folder, parts: Sequence[int], report: Report) -> None:
    """Do parts of a sweep on a cluster; what is written stays written, whatever happens to the rest.

    Args:
        client: A `distributed.Client`.
        grid: What is asked.
        folder: Where this process writes each part.
        parts: Which of its parts.
        report: Told what is done.

    Raises:
        OptionError: A part was lost with every worker that tried it, or there are no workers left.
    """
    distributed = importlib.import_module("distributed")
    everywhere = client.scatter(grid, broadcast=True)
    waiting = iter(parts)

    def submit(index: int) -> Any:
        future = client.submit(parquet, everywhere, index, retries=_RETRIES, pure=False)
        places[future.key] = index
        return future

    places: dict[str, int] = {}
    threads = sum(client.nthreads().values()) or 1
    first = [submit(index) for _, index in zip(range(_AHEAD * threads), waiting, strict=False)]
    under_way = distributed.as_completed(first)
    for done, future in enumerate(under_way, 1):
        index = places.pop(future.key)
        if future.status != "finished":
            raise OptionError(
                f"{folder.part(index).name} failed on the cluster: {future.exception()}",
                repair=f"Run the same command again: {plural(done - 1, 'part')} of {len(parts)} are kept",
            )
        folder.write(index, future.result())
        future.release()
        report(folder.part(index).name, done, len(parts))
        following = next(waiting, None)
        if following is not None:
            under_way.add(submit(following))
