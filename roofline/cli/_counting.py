"""What ``roofline count`` shows of a workload: documents for programs, rows with units for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from roofline.binding import assumed_batch
from roofline.cli._output import arrange
from roofline.conventions import Traffic
from roofline.number_format import human, number, percent, plural
from roofline.tables import Record, Row, cells

if TYPE_CHECKING:
    from roofline.layer import Layer
    from roofline.layer_table import LayerRow
    from roofline.workload import Workload

CONVENTIONS = {
    "operations": "one multiply-accumulate (MAC) is two operations (OP); other arithmetic is counted apart, "
    "never as MACs",
    "parameters": "parameters are distinct stored weight elements, shared ones once; bytes are packed at the "
    "graph's own datatypes",
    "activations": "activations are the results that depend on a network input; peak is the largest set of them "
    "alive at once",
}
"""How counts are meant, in every output."""

TRAFFIC = {
    "weights": "weights once per inference (of tables the rows that are looked up), and the key-value cache",
    "weights_io": "weights, network inputs and outputs",
    "fused": "weights, inputs and outputs of each fused layer",
    "unfused": "weights, inputs and outputs of each ONNX node",
    "resident": "network inputs and outputs; all else fits on chip",
}
"""The traffic assumptions under which intensity is given, and what each charges."""


def listed_inputs(shapes: Mapping[str, Sequence[int | None]]) -> str:
    """Return a network's inputs in words; of many (a decoder's caches) the first.

    Example:
        >>> listed_inputs({"ids": (1, 8), "scale": ()})
        'ids 1x8, scale scalar'
    """
    most = 4
    texts = [f"{name} {'x'.join(map(str, shape)) or 'scalar'}" for name, shape in shapes.items()]
    more = [f"and {len(texts) - most} more"] if len(texts) > most + 1 else []
    return ", ".join((texts[:most] if more else texts) + more)


@dataclass(frozen=True, slots=True)
class Totals:
    """A network's totals, exact; None where a node that belongs to one could not be counted."""

    macs: int | None
    effective_macs: int | None
    ops: int | None
    other_ops: int | None
    parameters: int
    trainable_parameters: int
    weight_bytes: int
    activation_bytes: int | None
    peak_activation_bytes: int | None
    intensity: Mapping[Traffic, float | None]
    """OP/B under each traffic assumption."""


def totals(workload: Workload) -> Totals:
    """Return a workload's totals; `counted_sums` has what those that are not known sum to at least."""
    intensity = {traffic: workload.intensity(traffic) for traffic in Traffic}
    found = Totals(
        **_sums_of_nodes(workload), parameters=workload.parameters,
        trainable_parameters=workload.trainable_parameters, weight_bytes=workload.weight_bytes,
        intensity=intensity,
    )  # fmt: skip
    if workload.fully_counted:
        return found
    return replace(
        found, macs=None, effective_macs=None, ops=None, other_ops=None, activation_bytes=None,
        peak_activation_bytes=None, intensity=dict.fromkeys(intensity),
    )  # fmt: skip


def counted_sums(workload: Workload) -> dict[str, int]:
    """Return what the nodes that could be counted sum to, a lower bound of each total that is not known; else none."""
    return {} if workload.fully_counted else _sums_of_nodes(workload)


def _sums_of_nodes(workload: Workload) -> dict[str, int]:
    """Return the totals to which every executed node belongs."""
    cost = workload.cost
    return {
        "macs": cost.macs,
        "effective_macs": workload.effective_macs,
        "ops": cost.ops,
        "other_ops": cost.other_ops,
        "activation_bytes": workload.activation_bytes,
        "peak_activation_bytes": workload.peak_activation_bytes,
    }


def document(workload: Workload, *, fused: bool) -> dict[str, object]:
    """Return everything that is counted, under stable names.

    Args:
        workload: What was counted.
        fused: Whether the layers are the fused ones, with a report of what was fused.
    """
    coverage = workload.coverage
    found: dict[str, object] = {
        "model": workload.name,
        "source": workload.source,
        "variant": workload.variant,
        "datatype": None if workload.precision is None else workload.precision.name,
        "batch": workload.batch,
        "inputs": {tensor.name: _type_of(tensor) for tensor in workload.inputs},
        "outputs": {tensor.name: _type_of(tensor) for tensor in workload.outputs},
        "conventions": {
            **CONVENTIONS,
            "batch": _batch(workload),
            **{f"traffic_{name}": meaning for name, meaning in TRAFFIC.items()},
        },
        "notes": list(workload.notes),
        "totals": totals(workload),
        **({} if workload.fully_counted else {"at_least": counted_sums(workload)}),
        "coverage": {
            "nodes": coverage.nodes,
            "bytes": coverage.bytes,
            "unresolved": list(coverage.unresolved),
        },
        "unsupported": list(coverage.unsupported),
        "view": "fused" if fused else "unfused",
    }
    if fused:
        found["fusion"] = dict(workload.fusions)
    found["layers"] = layer_rows(workload, fused=fused)
    return found


def _batch(workload: Workload) -> str:
    """Return what the counts are of; a batch that was not given is said to be taken."""
    if workload.batch_assumed_for:
        return assumed_batch(workload.batch_assumed_for)
    return f"counts are of a whole batch of {workload.batch}"


def layer_rows(workload: Workload, *, fused: bool) -> list[LayerRow]:
    """Return one exact row per executed node, or per fused layer."""
    return [_layer_row(layer, fused) for layer in _layers(workload, fused)]


def summary(workload: Workload) -> list[dict[str, str]]:
    """Return the totals as rows for a table: humanised, and exact beside it."""
    found = totals(workload)
    least = counted_sums(workload)
    rows = [
        _line("multiply-accumulates", found.macs, "MAC", least.get("macs")),
        _line("operations", found.ops, "OP", least.get("ops")),
        _line("parameters", found.parameters, ""),
        _line("  trainable", found.trainable_parameters, ""),
        _line("weights", found.weight_bytes, "B"),
        _line("activations", found.activation_bytes, "B", least.get("activation_bytes")),
        _line(
            "  peak alive", found.peak_activation_bytes, "B", least.get("peak_activation_bytes")
        ),
    ]
    if found.effective_macs != found.macs:
        rows.insert(1, _line("  with weights not zero", found.effective_macs, "MAC"))
    for name, value in found.intensity.items():
        known = value is not None and value != float("inf")
        rows.append({
            "quantity": f"intensity, {name}",
            "value": f"{number(value)} OP/B" if known else "unknown" if least else "no traffic",
            "exactly": TRAFFIC[name],
        })  # fmt: skip
    return rows


@dataclass(frozen=True, slots=True)
class LayerView:
    """Which layers are shown, in which order, and with what beside their counts."""

    fused: bool = False
    times: Mapping[str, float] = field(default_factory=dict[str, float])
    """Predicted seconds by layer; empty where no machine is named."""
    sort: str = ""
    top: int = 0

    def rows(self, workload: Workload) -> list[Row]:
        """Return one exact row per layer shown."""
        return [row for _, row in self._select_layers(workload)]

    def table(self, workload: Workload) -> list[Record]:
        """Return the layers shown as rows for a table, with shares of the whole network, and its total below."""
        layers = _layers(workload, self.fused)
        whole = (
            sum(layer.cost.macs for layer in layers),
            sum(layer.traffic_bytes for layer in layers),
            sum(self.times.values()),
        )
        rows = [self._cells(layer, whole) for layer, _ in self._select_layers(workload)]
        total: Record = dict.fromkeys(rows[0], "") if rows else {}
        total |= {
            "layer": "total",
            "operator": plural(len(layers), "layer"),
            "MACs": human(whole[0], ""),
        }
        total |= {"of MACs": percent(1.0 if whole[0] else 0.0), "of bytes": percent(1.0)}
        if self.times:
            total |= {"ms": number(1e3 * whole[2]) or "", "of time": percent(1.0)}
        return [*rows, total]

    def _select_layers(self, workload: Workload) -> list[tuple[Layer, Row]]:
        layers = _layers(workload, self.fused)
        rows = [self._row(layer) for layer in layers]
        # The bytes that the shares are of can be sorted by too.
        sorted_by = [
            {**row, "bytes": layer.traffic_bytes} for layer, row in zip(layers, rows, strict=True)
        ]
        return arrange(list(zip(layers, rows, strict=True)), sorted_by, self.sort, self.top)

    def _row(self, layer: Layer) -> Row:
        row = cells(_layer_row(layer, self.fused))
        if not self.times:
            return row
        seconds = self.times.get(layer.name)
        return {**row, "time_ms": None if seconds is None else 1e3 * seconds}

    def _cells(self, layer: Layer, whole: tuple[float, float, float]) -> Record:
        macs, moved, seconds = whole
        time = self.times.get(layer.name)
        timed = {
            "ms": "" if time is None else number(1e3 * time),
            "of time": "" if time is None or not seconds else percent(time / seconds),
        }
        return {
            "layer": _shorten(layer.name, 36),
            "operator": _shorten(_operator(layer), 40),
            "output": " ".join(_shape(tensor) for tensor in layer.outputs[:1]) or None,
            "MACs": "unknown"
            if layer.unknown
            else human(layer.cost.macs, "")
            if layer.cost.macs
            else "",
            "of MACs": percent(layer.cost.macs / macs) if layer.cost.macs else "",
            "other ops": human(layer.cost.other_ops, "") if layer.cost.other_ops else "",
            "params": human(layer.parameters, "") if layer.parameters else "",
            "weights": human(layer.weight_bytes, "B") if layer.weight_bytes else "",
            "in": human(layer.input_bytes, "B") if layer.input_bytes else "",
            "out": human(layer.output_bytes, "B") if layer.output_bytes else "",
            "of bytes": percent(layer.traffic_bytes / moved) if layer.traffic_bytes else "",
            **(timed if self.times else {}),
            "runs on": layer.datatype or "",
            "times": layer.repeats if layer.repeats != 1 else "",
        }


def coverage_notes(workload: Workload) -> list[str]:
    """Return what was counted and what was not, as lines for a table."""
    from roofline.ops import Kind

    coverage = workload.coverage
    lines = [f"counted: {coverage.nodes:.1%} of nodes, {coverage.bytes:.1%} of bytes"]
    if coverage.unsupported:
        lines.append(f"not supported, not in the totals: {', '.join(coverage.unsupported)}")
    reasons = Counter(
        layer.note for layer in workload.unknown_layers if layer.kind is not Kind.UNSUPPORTED
    )
    if reasons:
        lines.append(f"not resolved: {_most_frequent(reasons)}")
    return lines


def _most_frequent(reasons: Counter[str]) -> str:
    """Return the reasons that hold most nodes back, and how many others there are: a large graph has hundreds."""
    first = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))[:_REASONS]
    text = "; ".join(f"{reason} ({plural(times, 'node')})" for reason, times in first)
    others = reasons.total() - sum(times for _, times in first)
    if not others:
        return text
    return f"{text}; and {plural(others, 'more node', 'more nodes')}: --layers -f csv says why of each"


_REASONS = 2
"""Reasons for what is not resolved that one line has room for."""


def fusion_notes(workload: Workload) -> list[str]:
    """Return what was fused, as lines for a table."""
    fused = ", ".join(f"{name} {times}" for name, times in workload.fusions.items())
    before, after = len(workload.layers), len(workload.fused_layers)
    return [
        f"fused {plural(before, 'node')} into {plural(after, 'layer')}: {fused or 'nothing to fuse'}"
    ]


def _layers(workload: Workload, fused: bool) -> tuple[Layer, ...]:
    return workload.fused_layers if fused else workload.layers


def _layer_row(layer: Layer, fused: bool) -> LayerRow:
    from roofline.layer_table import FusedLayerRow, row_of

    row = row_of(layer)
    return FusedLayerRow(**cells(row), members=list(layer.members)) if fused else row


def _line(quantity: str, value: int | None, unit: str, least: int | None = None) -> dict[str, str]:
    if value is None:
        known = "" if least is None else f"at least {human(least, unit)}"
        return {"quantity": quantity, "value": "unknown", "exactly": known}
    return {"quantity": quantity, "value": human(value, unit), "exactly": f"{value:,}"}


def _operator(layer: Layer) -> str:
    extra = len(layer.members) - 1
    name = f"{layer.domain}::{layer.op_type}" if layer.domain else layer.op_type
    return f"{name} + {extra}" if extra > 0 else name


def _type_of(tensor: Any) -> dict[str, object]:
    from roofline.layer_table import sizes_of

    return {"shape": sizes_of(tensor), "datatype": tensor.dtype.name if tensor.dtype else None}


def _shape(tensor: Any) -> str:
    if tensor.shape is None:
        return "?"
    return "x".join("?" if size is None else str(size) for size in tensor.shape) or "scalar"


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else f"…{text[1 - width :]}"
