"""``roofline measure``: run a network on this machine, check its outputs, time it, and keep the record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from roofline.cli._compression import CompressionOptions
from roofline.cli._decoding import StageOptions
from roofline.cli._groups import command
from roofline.cli._measuring import (
    CONVENTIONS,
    FreshOption,
    PerLayerOption,
    RunOptions,
    StoreOption,
    TrackerOption,
    cells,
    kernel_cells,
    remarks,
    run_models,
)
from roofline.cli._options import InputOptions, ModelsArgument
from roofline.cli._output import OrderOptions, ResultOptions, as_table

if TYPE_CHECKING:
    from roofline.validate.records.record import Measurement

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class BoardOptions:
    """On which board networks are run, where they are not run here."""

    tracker: TrackerOption = ""
    rpc_key: str = ""
    """Run with TVM on a board that serves this key."""
    rpc_target: str = ""
    """The board's processor: aarch64-cortex-a72, or JSON; left out, the board is asked."""


@command(app)
def measure(
    *,
    models: ModelsArgument,
    timing: RunOptions,
    inputs: InputOptions,
    compression: CompressionOptions,
    parts: StageOptions,
    fresh: FreshOption = False,
    per_layer: PerLayerOption = False,
    board: BoardOptions,
    store: StoreOption = None,
    order: OrderOptions,
    result: ResultOptions,
) -> None:
    """Run networks on this machine: first run discarded, median of the rest, outputs checked."""
    from roofline.validate.measuring.series import check_backends
    from roofline.validate.tvm.boards.reaching import reach
    from roofline.validate.tvm.boards.tracker import use_tracker

    binding = inputs.bound()
    asked = timing.request(binding)
    names, rpc_key, rpc_target = timing.backend or ["tvm"], board.rpc_key, board.rpc_target
    if rpc_key:
        use_tracker(reach(board.tracker, rpc_key, target=rpc_target))
        names = ["tvm-rpc"]
        options = {**asked.options, **({"rpc_target": rpc_target} if rpc_target else {})}
        # How many cores a board has is not known here.
        asked = replace(asked, target=rpc_key, options=options, threads=asked.threads or 1)
    check_backends(asked, names)
    staged = parts.stage(models, bound=inputs.is_given)
    done = run_models(
        asked, models, names, compression, binding, store, machine=rpc_key, per_layer=per_layer, fresh=fresh,
        stages=staged.stages,
    )  # fmt: skip
    shown = order.arrange(done, [run.to_row() for run in done])
    result.emit(
        document=lambda: _document(shown),
        rows=lambda: [run.to_row() for run in shown],
        table=lambda: _table(shown),
    )
    if not all(record.ok for record in done):
        raise typer.Exit(1)


def _document(runs: list[Measurement]) -> dict[str, object]:
    entries = [{**run.to_row(), **run.to_dict()} for run in runs]
    # The same fields as `validate` gives; a measured run alone is compared with nothing.
    return {"conventions": CONVENTIONS, "measurements": entries, "comparisons": []}


def _table(runs: list[Measurement]) -> str:
    kernels = [as_table(kernel_cells(run)) for run in runs if run.kernel_times]
    table = as_table(
        [cells(run) for run in runs],
        remarks=remarks(runs),
        explained=list(CONVENTIONS.values()),
    )
    return "\n".join([*kernels, table])
