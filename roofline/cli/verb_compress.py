"""``roofline compress``: write a pruned, sparse or quantized network as an ONNX file that runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.binding import Binding
from roofline.cli._compression import (
    DatatypesOption,
    KeepChannelsOption,
    SparseFormatOption,
    SparsityOption,
    with_weights,
)
from roofline.cli._options import (
    BatchOption,
    DimOption,
    EmulateOption,
    InputOption,
    ModelArgument,
    ValueOption,
    parse_binding,
    split_names,
)
from roofline.cli._output import (
    Format,
    FormatOption,
    as_csv,
    as_json,
    as_table,
    emit,
    say,
    together,
    writable,
)
from roofline.compression_flags import request
from roofline.errors import OptionError
from roofline.number_format import plural
from roofline.writing import write_whole

if TYPE_CHECKING:
    import onnx

    from roofline.compress import Compressed, Request
    from roofline.compress.narrowing import Narrowing
    from roofline.speedup import SpeedUp

app = typer.Typer(add_completion=False)

CONVENTIONS = {
    "channels": "the share counts within each group of channels that must go together; halves round up, one stays",
    "weights": "predicted bytes leave scales out; a file's scales and zero points are given apart",
}
"""How the figures are meant."""


@app.command()
def compress(
    *,
    model: ModelArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", callback=writable, help="The ONNX file to write.")
    ],
    keep_channels: KeepChannelsOption = None,
    sparsity: SparsityOption = None,
    sparse_format: SparseFormatOption = "dense",
    datatype: DatatypesOption = None,
    criterion: Annotated[
        str,
        typer.Option("--criterion", help="Channels that stay: l1, l2 (largest), random, first."),
    ] = "l1",
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Of random choices, inputs and weights.")
    ] = 0,
    calibration: Annotated[
        Path | None,
        typer.Option(
            "--calibration", help="An .npz with one array per input, for int8; else random."
        ),
    ] = None,
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="For int8: measure activation ranges at run time.")
    ] = False,
    block: Annotated[
        int | None,
        typer.Option("--block", min=1, help="For w4a16 and the like: weights that share a scale."),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold",
            help="For ternary: weights up to this share of a layer's largest become zero.",
        ),
    ] = 0.05,
    random_weights: Annotated[
        bool,
        typer.Option(
            "--random-weights",
            help="Where the file has no weights, take random ones: what is written runs, but computes nothing.",
        ),
    ] = False,
    platform: Annotated[
        list[str] | None,
        typer.Option(
            "--platform",
            "-p",
            help="Show the speed-up Equation 1 predicts on this machine; repeatable.",
        ),
    ] = None,
    emulate: EmulateOption = False,
    batch: BatchOption = None,
    dim: DimOption = None,
    input_: InputOption = None,
    value: ValueOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Write a compressed network as an ONNX file, and show that its counts are those predicted."""
    from dataclasses import replace

    from roofline.compress import compress as run
    from roofline.compress.calibration import read_arrays
    from roofline.compress.compressing import serialized
    from roofline.compress.loading import check_loads
    from roofline.compress.writers._registry import WriteOptions

    asked = request(
        keep_channels, sparsity, sparse_format, datatype, criterion=criterion, seed=seed
    )
    if asked.label == "dense":
        raise OptionError(
            "nothing to compress is asked", repair="Add --keep-channels, --sparsity or -d"
        )
    given = None if calibration is None else read_arrays(calibration)
    options = WriteOptions(given, dynamic, block, threshold=threshold, seed=seed)
    binding = parse_binding(batch, dim, input_, value)
    name, whole, filled = with_weights(model, seed, fill=random_weights)
    done = run(whole, replace(asked, options=options), name=name, binding=binding)
    speedups = _speedups(name, whole, asked, split_names(platform), binding, emulate=emulate)
    content = serialized(done.model)
    unchecked = check_loads(content, whole)
    if filled:
        say(f"warning: {plural(filled, 'weight')} that {model} has not are random (seed {seed})")
    write_whole(output, content)
    emit(_report(name, asked.label, done, output, form, speedups, unchecked, filled), None)


def _speedups(
    name: str,
    whole: onnx.ModelProto,
    asked: Request,
    platforms: list[str],
    binding: Binding,
    *,
    emulate: bool,
) -> list[SpeedUp]:
    from roofline.spec import platform as find_platform
    from roofline.speedup import speed_ups
    from roofline.workload import Workload

    dense = Workload.from_onnx(whole, name=name, binding=binding)
    machines = [find_platform(key) for key in platforms]
    return speed_ups(dense, asked, machines, emulate=emulate)


def _report(
    name: str,
    label: str,
    done: Compressed,
    output: Path,
    form: Format,
    speedups: list[SpeedUp],
    unchecked: str,
    filled: int,
) -> str:
    plan = done.plan
    rows = [
        {"count": "MACs", "predicted": done.predicted.macs, "file": done.counted.macs},
        {
            "count": "effective MACs",
            "predicted": done.predicted.effective_macs,
            "file": done.counted.effective_macs,
        },
        {
            "count": "parameters",
            "predicted": done.predicted.parameters,
            "file": done.counted.parameters,
        },
        {
            "count": "weight bytes",
            "predicted": done.predicted.weight_bytes,
            "file": done.counted.weight_bytes,
        },
    ]
    fixed: list[dict[str, Any]] = [] if plan is None else [
        {"layer": entry.layer, "channels": entry.channels, "reason": entry.reason} for entry in plan.fixed
    ]  # fmt: skip
    if form is Format.JSON:
        return as_json({
            "model": name, "variant": label, "file": str(output), "conventions": CONVENTIONS,
            "predicted": _totals(done, counted=False), "counted": _totals(done, counted=True),
            "stored_bytes": done.stored_bytes, "scale_bytes": done.scale_bytes, "agrees": done.agrees,
            "zero_share": done.zero_share, "speedups": [entry.record() for entry in speedups],
            "channel_groups": 0 if plan is None else len(plan.groups),
            "channels_removed": 0 if plan is None else plan.removed, "fixed": fixed,
            "narrowing": None if done.narrowing is None else asdict(done.narrowing),
            "loads": not unchecked, "not_loaded_because": unchecked or None,
            "random_weights": filled,
        })  # fmt: skip
    if form is Format.CSV:
        return as_csv(rows)
    notes = [f"warning: {unchecked}"] if unchecked else []
    notes += [] if done.narrowing is None else _narrowing(done.narrowing)
    details = (
        [f"{plural(done.scale_bytes, 'byte')} of the file are scales and zero points"]
        if done.scale_bytes
        else []
    )
    if done.stored_bytes != done.predicted.weight_bytes:
        notes.append(
            f"an ONNX file stores zeros too: {plural(done.stored_bytes, 'byte')} without the sparse format"
        )
    if done.counted.effective_macs < done.predicted.effective_macs:
        notes.append(
            f"{done.zero_share:.1%} of the file's weights are zero, which no count without them knows"
        )
    if plan is not None:
        notes.append(
            f"{plural(plan.removed, 'channel')} of {plural(len(plan.groups), 'group')} removed"
        )
        details += [
            f"{row['layer']} keeps {plural(row['channels'], 'channel')}: {row['reason']}"
            for row in fixed
        ]
    gains = [f"{speedups[0].ideal:.4g}x faster if operations and their width were all"]
    gains += [
        entry.skipped or f"{entry.predicted:.4g}x faster on {entry.platform} by Equation 1"
        for entry in speedups
        if entry.skipped or entry.predicted is not None
    ]
    return as_table(
        rows,
        title=f"{name}, {label}: wrote {output}",
        notes=[*together(notes), *together(gains)],
        explained=[*details, *CONVENTIONS.values()],
    )


def _narrowing(found: Narrowing) -> list[str]:
    """Return what a table says of the weights that were narrowed, and of those that were not."""
    lines = [
        f"{found.narrowed_bytes:,} of {plural(found.weight_bytes, 'weight byte')} are stored narrower"
    ]
    for reason, entries in found.by_reason().items():
        size = sum(entry.bytes for entry in entries)
        names = ", ".join(entry.layer for entry in entries[:3])
        more = f" and {len(entries) - 3} more" if len(entries) > 3 else ""
        lines.append(f"{plural(size, 'byte')} stay as they are in {names}{more}: {reason}")
    return lines


def _totals(done: Compressed, *, counted: bool) -> dict[str, int]:
    workload = done.counted if counted else done.predicted
    return {
        "macs": workload.macs, "effective_macs": workload.effective_macs, "parameters": workload.parameters,
        "weight_bytes": workload.weight_bytes, "activation_bytes": workload.activation_bytes,
    }  # fmt: skip
