"""The compression flags as texts, as the command line and sweep files have them.

What compresses is loaded only where something is asked for: most counts and predictions are of networks as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from roofline.surfaces import KEEP_CHANNELS, SPARSITY

if TYPE_CHECKING:
    from roofline.compress import Request
    from roofline.workload import Workload


def request(
    keep_channels: Sequence[str] | None = None,
    sparsity: Sequence[str] | None = None,
    sparse_format: str = "dense",
    datatype: Sequence[str] | None = None,
    *,
    criterion: str = "l1",
    seed: int = 0,
) -> Request:
    """Return what the compression flags ask for.

    Raises:
        RooflineError: A share is outside its range, or a name is not known.
    """
    from roofline.compress import Pruning, Request, Sparsity
    from roofline.compress.quantization import parse_datatypes
    from roofline.compress.request import parse_shares

    keep, keep_layers = parse_shares(KEEP_CHANNELS, keep_channels)
    share, sparse_layers = parse_shares(SPARSITY, sparsity)
    structured = sparse_format == "2:4"
    if structured and share is None and not sparse_layers:
        share = 0.5
    pruned = keep is not None or keep_layers
    sparse = share is not None or sparse_layers or sparse_format != "dense"
    return Request(
        Pruning(keep, keep_layers, criterion, seed) if pruned else None,
        Sparsity(share, sparse_layers, sparse_format, "2:4" if structured else "unstructured")
        if sparse
        else None,
        parse_datatypes(datatype) if datatype else None,
    )


def compress_by_flags(
    workload: Workload,
    keep_channels: Sequence[str] | None = None,
    sparsity: Sequence[str] | None = None,
    sparse_format: str = "dense",
    datatype: Sequence[str] | None = None,
) -> Workload:
    """Return a workload under the compression flags; without any it is the same workload.

    Raises:
        RooflineError: The flags ask for what cannot be done.
    """
    if not (keep_channels or sparsity or datatype or sparse_format != "dense"):
        return workload
    return request(keep_channels, sparsity, sparse_format, datatype).under(workload)
