"""``roofline compress``: write a pruned, sparse or quantized network as an ONNX file that runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli._compression import CompressionOptions, fill_weights, lacks_weights, with_weights
from roofline.cli._groups import command
from roofline.cli._options import EmulateOption, InputOptions, ModelArgument
from roofline.cli._output import Format, FormatOption, ResultOptions, as_table, output_option, say
from roofline.errors import OptionError
from roofline.number_format import plural
from roofline.tables import Record
from roofline.writing import write_whole

if TYPE_CHECKING:
    from roofline.compress import CompressedModel
    from roofline.compress.narrowing import Narrowing
    from roofline.compress.writers._registry import WriteOptions
    from roofline.speedup import SpeedUp
    from roofline.workload import Workload

app = typer.Typer(add_completion=False)

CONVENTIONS = {
    "channels": "the share counts within each group of channels that must go together; halves round up, one stays",
    "weights": "predicted bytes leave scales out; a file's scales and zero points are given apart",
}
"""How the figures are meant."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WritingOptions:
    """How what is left of a network is chosen and written, and where it goes."""

    output: Annotated[Path, output_option("the compressed network", ".onnx")]
    criterion: str = "l1"
    """Channels that stay: l1, l2 (largest), random, first."""
    seed: Annotated[int, typer.Option(min=0)] = 0
    """Of random choices, inputs and weights."""
    calibration: Path | None = None
    """An .npz with one array per input, for int8; else random."""
    dynamic: bool = False
    """For int8: measure activation ranges at run time."""
    block: Annotated[int | None, typer.Option(min=1)] = None
    """For w4a16 and the like: weights that share a scale."""
    threshold: float = 0.05
    """For ternary: weights up to this share of a layer's largest become zero."""
    random_weights: bool = False
    """Where the file has no weights, take random ones: what is written runs, but computes nothing."""
    platform: Annotated[list[str] | None, typer.Option("-p")] = None
    """Show the speed-up Equation 1 predicts on this machine; repeatable, or several by commas."""

    def read(self) -> WriteOptions:
        """Return them as the writers take them, with the arrays of the calibration.

        Raises:
            RooflineError: The arrays cannot be read.
        """
        from roofline.compress.calibration import read_arrays
        from roofline.compress.writers._registry import WriteOptions

        given = None if self.calibration is None else read_arrays(self.calibration)
        return WriteOptions(
            given, self.dynamic, self.block, threshold=self.threshold, seed=self.seed
        )


@command(app)
def compress(
    *,
    model: ModelArgument,
    compression: CompressionOptions,
    writing: WritingOptions,
    emulate: EmulateOption = False,
    inputs: InputOptions,
    form: FormatOption = Format.TABLE,
) -> None:
    """Write a compressed network as an ONNX file, and show that its counts are those predicted."""
    from roofline.compress import compress as run
    from roofline.compress.compressing import serialize
    from roofline.compress.loading import check_loads
    from roofline.spec import platform as find_platform
    from roofline.speedup import speed_ups
    from roofline.workload import Workload

    asked = compression.request(criterion=writing.criterion, seed=writing.seed)
    if asked.empty:
        raise OptionError(
            "nothing to compress is asked", repair="Add --keep-channels, --sparsity or -d"
        )
    request = replace(asked, options=writing.read())
    binding = inputs.bound()
    name, whole, filled = with_weights(model, writing.seed, fill=writing.random_weights)
    absent = 0
    if (asked.quantization or asked.sparsity) and lacks_weights(whole):
        from roofline.compress.unweighted import compress_unweighted

        done, absent = compress_unweighted(
            lambda seed: fill_weights(whole, seed), request, name=name, binding=binding
        )
    else:
        done = run(whole, request, name=name, binding=binding)
    dense = Workload.from_onnx(whole, name=name, binding=binding)
    machines = [find_platform(key) for key in writing.platform or ()]
    speedups = speed_ups(dense, asked, machines, emulate=emulate)
    content = serialize(done.model)
    unchecked = check_loads(content, whole)
    if filled:
        say(
            f"warning: {model} lacks {plural(filled, 'weight, which is', 'weights, which are')} random "
            f"(seed {writing.seed})"
        )
    if absent:
        say(
            f"warning: the weights of {model} are absent, and so are {plural(absent, 'tensor')} of what is written: "
            "it can be counted, and not run. --random-weights writes one that runs"
        )
    write_whole(writing.output, content)
    page = _WrittenNetwork(
        name, asked.label, done, writing.output, speedups, unchecked, filled, absent
    )
    ResultOptions(form=form).emit(document=page.document, rows=page.rows, table=page.table)


@dataclass(frozen=True, slots=True)
class _WrittenNetwork:
    """A compressed network, in the file it was written to."""

    name: str
    label: str
    done: CompressedModel
    output: Path
    speedups: list[SpeedUp]
    unchecked: str
    """Why the file was not loaded by the runtime; empty when it was."""
    filled: int
    """Weights that are random."""
    absent: int
    """Tensors that have no elements, for the network's weights have none."""

    def document(self) -> dict[str, object]:
        """Return all that was predicted and counted, under its stable names."""
        done, plan = self.done, self.done.plan
        return {
            "model": self.name, "variant": self.label, "file": str(self.output), "conventions": CONVENTIONS,
            "predicted": _totals(done.predicted), "counted": _totals(done.counted),
            "stored_bytes": done.stored_bytes, "scale_bytes": done.scale_bytes, "agrees": done.agrees,
            "zero_share": done.zero_share, "speedups": [entry.record() for entry in self.speedups],
            "channel_groups": 0 if plan is None else len(plan.groups),
            "channels_removed": 0 if plan is None else plan.removed, "fixed": self.fixed_layers(),
            "narrowing": None if done.narrowing is None else asdict(done.narrowing),
            "loads": not self.unchecked, "not_loaded_because": self.unchecked or None,
            "random_weights": self.filled, "absent_tensors": self.absent,
        }  # fmt: skip

    def fixed_layers(self) -> list[Record]:
        """Return the layers that keep all of their channels, and why."""
        plan = self.done.plan
        return [] if plan is None else [
            {"layer": entry.layer, "channels": entry.channels, "reason": entry.reason} for entry in plan.fixed
        ]  # fmt: skip

    def rows(self) -> list[Record]:
        """Return each count as it was predicted, and as the file has it."""
        predicted, counted = _totals(self.done.predicted), _totals(self.done.counted)
        return [
            {"count": title, "predicted": predicted[name], "file": counted[name]}
            for name, title in _SHOWN.items()
        ]

    def table(self) -> str:
        """Return the page for people."""
        done, plan = self.done, self.done.plan
        warnings = [f"warning: {self.unchecked}"] if self.unchecked else []
        notes: list[str] = []
        details = (
            [f"{plural(done.scale_bytes, 'byte')} of the file for scales and zero points"]
            if done.scale_bytes
            else []
        )
        if done.beside_bytes < 0:
            notes.append(
                f"{plural(-done.beside_bytes, 'byte')} fewer than predicted: ONNX Runtime's quantizer narrows operands "
                "that are added, scaled or looked up (biases behind a product, slopes, tables) too"
            )
        elif done.beside_bytes:
            notes.append(
                f"{plural(done.beside_bytes, 'byte')} more than predicted beside the weights: ONNX Runtime's quantizer "
                "stores a bias that several layers share once for each, with the scale of its sums"
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
                f"{entry.layer} keeps {plural(entry.channels, 'channel')}: {entry.reason}"
                for entry in plan.fixed
            ]
        narrowed = [] if done.narrowing is None else _describe_narrowing(done.narrowing)
        if _keeps_more(done):
            warnings.append(
                "warning: the file keeps more than was asked, behind calls that no writer follows: see both columns; "
                "its gain is not stated"
            )
            return self._page(warnings, [*notes, *narrowed], details)
        gains = [f"{self.speedups[0].ideal:.4g}x faster if operations and their width were all"]
        gains += [
            f"{entry.predicted:.4g}x faster on {entry.platform} by Equation 1"
            for entry in self.speedups
            if entry.predicted is not None
        ]
        warnings += [entry.skipped for entry in self.speedups if entry.skipped]
        return self._page(warnings, [*gains, *notes, *narrowed], details)

    def _page(self, warnings: list[str], notes: list[str], details: list[str]) -> str:
        return as_table(
            self.rows(),
            title=f"{self.name}, {self.label}: wrote {self.output}",
            remarks=notes,
            notes=["; ".join(warnings)] if warnings else [],
            explained=[*details, *CONVENTIONS.values()],
        )


def _keeps_more(done: CompressedModel) -> bool:
    """Return whether a file keeps clearly more bytes or arithmetic than was predicted of it; scales are allowed for."""
    found, wanted = done.counted, done.predicted
    return (
        found.weight_bytes > _ALLOWED * wanted.weight_bytes + done.scale_bytes
        or found.effective_macs > _ALLOWED * wanted.effective_macs
    )


def _describe_narrowing(found: Narrowing) -> list[str]:
    """Return what a table says of the weights that were narrowed, and of those that were not."""
    whole = plural(found.weight_bytes, "weight byte is", "weight bytes are")
    lines = [f"{found.narrowed_bytes:,} of {whole} stored narrower"]
    for reason, entries in found.by_reason().items():
        size = sum(entry.bytes for entry in entries)
        names = ", ".join(entry.layer for entry in entries[:3])
        more = f" and {len(entries) - 3} more" if len(entries) > 3 else ""
        lines.append(
            f"{plural(size, 'byte stays as it is', 'bytes stay as they are')} in {names}{more}: {reason}"
        )
    return lines


_ALLOWED = 1.05
"""How much more a file may keep than is predicted before it is said: biases and small tables stay as they are."""

_SHOWN = {
    "macs": "MACs",
    "effective_macs": "effective MACs",
    "parameters": "parameters",
    "weight_bytes": "weight bytes",
}
"""Totals in the table, and what they are called there."""


def _totals(workload: Workload) -> dict[str, int]:
    return {
        "macs": workload.macs, "effective_macs": workload.effective_macs, "parameters": workload.parameters,
        "weight_bytes": workload.weight_bytes, "activation_bytes": workload.activation_bytes,
    }  # fmt: skip
