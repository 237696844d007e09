"""The compression flags, the same on every verb that counts, predicts, writes or runs a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from roofline.compress import Request
    from roofline.workload import Workload

KeepChannelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--keep-channels",
        metavar="SHARE",
        help="Share of inner channels that stay: 0.5, or PATTERN=0.5 for layers whose name matches; repeatable.",
    ),
]
SparsityOption = Annotated[
    list[str] | None,
    typer.Option(
        "--sparsity",
        metavar="SHARE",
        help="Share of weights set to zero: 0.9, or PATTERN=0.9 for layers whose name matches; repeatable.",
    ),
]
SparseFormatOption = Annotated[
    str,
    typer.Option(
        "--sparse-format",
        help="How pruned weights are stored: dense, csr, csr-kernel, bsr, bitmap, coo, channel-list, 2:4.",
    ),
]
DatatypesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--datatype",
        "-d",
        metavar="DATATYPE",
        help="Weights and activations: int8, w4a8, fp16, ...; PATTERN=fp16, first=fp16, last=fp16 or state=fp16 "
        "for parts; repeatable.",
    ),
]


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

    keep, keep_layers = parse_shares("--keep-channels", keep_channels)
    share, sparse_layers = parse_shares("--sparsity", sparsity)
    pruned = keep is not None or keep_layers
    sparse = share is not None or sparse_layers or sparse_format != "dense"
    return Request(
        Pruning(keep, keep_layers, criterion, seed) if pruned else None,
        Sparsity(share, sparse_layers, sparse_format) if sparse else None,
        parse_datatypes(datatype) if datatype else None,
    )


def compressed(
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
