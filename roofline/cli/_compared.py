"""What changes on machines between two networks, and the rows of a comparison that ``--fail-if`` looks at."""

from __future__ import annotations

from collections.abc import Sequence

from roofline._sweep import sweep
from roofline.cli._decoding import UNASKED
from roofline.cli._differences import Figure, Line
from roofline.compression_flags import compress_by_flags
from roofline.decoding.phases import Decoding
from roofline.number_format import number
from roofline.serving import serve
from roofline.spec import Platform, platform
from roofline.tables import Record, Row
from roofline.workload import Workload

_YES = {True: "yes", False: "no", None: "unknown"}
_CASE = ("platform", "datatype", "batch", "model")
_FIGURES = ("throughput_fps", "latency_ms", "bound", "upper_bound", "fits", "interval_fps")
_RATIOS = ("throughput_fps", "latency_ms")
_OF_TOKENS = (
    "tokens_per_s", "tpot_ms", "ttft_ms", "context", "decode_bound", "interval_tokens_per_s",
)  # fmt: skip
"""Of two decoders: tokens of all requests, and not frames, are their rate."""
_TOKEN_RATIOS = ("tokens_per_s", "tpot_ms", "ttft_ms")


def predict_pairs(
    networks: Sequence[Workload | Decoding],
    platforms: Sequence[str],
    datatypes: Sequence[str] | None,
    batch: int | None,
    model: str | None,
) -> list[Record]:
    """Return what is predicted of the second of two networks, beside the first, one row for each case that both have.

    Args:
        networks: The first and the second: two networks that run once for an answer, or two decoders, which are asked
            what `predict` asks them.
        platforms: Keys or files of machines.
        datatypes: Precisions; None for the networks' own.
        batch: Items per batch, or requests in flight; None for the networks' own, and for one request.
        model: Name of a model; None for the bound and the best estimate.

    Raises:
        RooflineError: A name is not known, or no machine has a datatype.
    """
    machines = [platform(key) for key in dict.fromkeys(platforms)]
    before, after = (
        {
            tuple(row[name] for name in _CASE): row
            for row in _rows(network, machines, datatypes, batch, model)
        }
        for network in networks
    )
    return [_pair(before[case], row) for case, row in after.items() if case in before]


def _rows(
    network: Workload | Decoding, machines: Sequence[Platform], datatypes: Sequence[str] | None, batch: int | None,
    model: str | None,
) -> list[Record]:  # fmt: skip
    if not isinstance(network, Decoding):
        batches = None if batch is None else [batch]
        return sweep(
            [network], machines, datatypes=datatypes, model=model, batches=batches
        ).records()

    def prepare(workload: Workload, name: str | None) -> Workload:
        return workload if name is None else compress_by_flags(workload, datatype=[name])

    return serve(
        network, UNASKED, machines, datatypes=datatypes or (), batches=[batch or 1], model=model,
        prepare=prepare, unheld=True,
    ).records()  # fmt: skip


def _pair(first: Row, second: Row) -> Record:
    """Return the second's figures by their names, the first's behind ``first_``, and ratios of second to first."""

    def ratio(name: str) -> float | None:
        old, new = first.get(name), second.get(name)
        return new / old if old and new is not None else None

    pair: Record = {name: second[name] for name in _CASE}
    for figures, ratios in ((_FIGURES, _RATIOS), (_OF_TOKENS, _TOKEN_RATIOS)):
        pair |= {name: second.get(name) for name in figures}
        pair |= {f"first_{name}": first.get(name) for name in figures}
        pair |= {f"{name}_ratio": ratio(name) for name in ratios}
    return pair


def pair_cells(pair: Row, names: tuple[str, str]) -> dict[str, str | None]:
    """Return a pair as a row for people, under the names of the two networks."""
    tokens = pair["context"] is not None
    rate, shown = ("tokens_per_s", "tokens/s") if tokens else ("throughput_fps", "fps")
    interval = "interval_tokens_per_s" if tokens else "interval_fps"
    row: dict[str, str | None] = {name: str(pair[name]) for name in _CASE}
    for name, side in zip(names, ("first_", ""), strict=True):
        ends = pair[f"{side}{interval}"]
        row[f"{name}, {shown}"] = (number(pair[f"{side}{rate}"]) or "unknown") + (
            "" if ends is None else f" ({number(ends[0])} … {number(ends[1])})"
        )
    ratio = pair[f"{rate}_ratio"]
    row["change"] = "unknown" if ratio is None else f"{ratio - 1:+.2%}"
    if tokens:
        row[f"{names[0]}, ms per token"] = number(pair["first_tpot_ms"])
        row[f"{names[1]}, ms per token"] = number(pair["tpot_ms"])
    row["bound"] = pair["decode_bound" if tokens else "bound"] or "unknown"
    fits = dict.fromkeys(_YES[value] for value in (pair["first_fits"], pair["fits"]))
    row["fits"] = " / ".join(fits)
    return row


def difference_row(lines: Sequence[Line], names: tuple[str, str]) -> dict[str, Figure]:
    """Return all totals as one row: the second's by name, its ratio to the first, and the difference."""
    row: dict[str, Figure] = {"compared": f"{names[0]} and {names[1]}"}
    for line in lines:
        row[line.quantity] = line.second
        row[f"{line.quantity}_ratio"] = line.ratio
        row[f"{line.quantity}_difference"] = line.difference
    return row
