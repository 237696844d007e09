"""``roofline advise``: which machines reach a throughput, and which peak and bandwidth would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.cli._compression import (
    DatatypesOption,
    KeepChannelsOption,
    SparseFormatOption,
    SparsityOption,
    compressed,
)
from roofline.cli._options import (
    BoundSizesOption,
    DimOption,
    InputOption,
    ModelArgument,
    ValueOption,
    load_model,
    split_names,
)
from roofline.cli._output import (
    Format,
    FormatOption,
    OutputOption,
    as_csv,
    as_json,
    as_table,
    emit,
    say,
)
from roofline.cli._predictions import conventions
from roofline.number_format import number

if TYPE_CHECKING:
    from roofline.model import Advice, Wish

app = typer.Typer()


@app.command()
def advise(
    *,
    model: ModelArgument,
    min_fps: Annotated[float, typer.Option("--min-fps", help="Frames per second to reach.")],
    max_watts: Annotated[
        float | None, typer.Option("--max-watts", help="Most thermal design power, W.")
    ] = None,
    max_price: Annotated[
        float | None, typer.Option("--max-price", help="Most to pay, USD.")
    ] = None,
    efficiency: Annotated[
        float | None,
        typer.Option(
            "--efficiency", help="Share of the predicted throughput a real run reaches: 0.3."
        ),
    ] = None,
    platform: Annotated[
        list[str] | None,
        typer.Option(
            "--platform", "-p", help="Choose among these; repeatable. Default: all shipped."
        ),
    ] = None,
    datatype: DatatypesOption = None,
    batch: Annotated[
        list[int] | None,
        typer.Option("--batch", "-b", min=1, help="Items per batch that would do; repeatable."),
    ] = None,
    prediction_model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Prediction model: equation1, ... Default: the best estimate, else the bound.",
        ),
    ] = None,
    keep_channels: KeepChannelsOption = None,
    sparsity: SparsityOption = None,
    sparse_format: SparseFormatOption = "dense",
    dim: DimOption = None,
    input_: InputOption = None,
    value: ValueOption = None,
    bound_sizes: BoundSizesOption = False,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Find the machines that reach a throughput within a power and price limit; exit code 1 if there is none."""
    from roofline.errors import OptionError
    from roofline.model import Wish
    from roofline.model import advise as ask
    from roofline.spec import platform as find_platform
    from roofline.spec import platform_keys

    wish = Wish(min_fps, max_watts, max_price, efficiency)
    if any("=" in name for name in datatype or ()):
        raise OptionError(
            "advise takes whole datatypes", repair="Use predict for parts of a network"
        )
    workload = compressed(
        load_model(model, dim=dim, input_=input_, value=value, bound_sizes=bound_sizes),
        keep_channels,
        sparsity,
        sparse_format,
    )
    machines = [find_platform(key) for key in split_names(platform) or platform_keys()]
    advice = ask(
        workload, machines, wish, datatypes=datatype, batches=batch, model=prediction_model
    )
    emit(_written(advice, wish, form, workload.name), output)
    if not any(candidate.suits for candidate in advice.candidates):
        open_ = any(candidate.answer == "unknown" for candidate in advice.candidates)
        say(f"roofline: no machine {'is known to reach' if open_ else 'reaches'} it")
        raise typer.Exit(1)


def _written(advice: Advice, wish: Wish, form: Format, network: str) -> str:
    if form is Format.CSV:
        return as_csv(advice.records())
    predictions = [candidate.prediction for candidate in advice.candidates]
    stated = conventions(predictions) if predictions else {}
    if wish.efficiency is not None:
        stated["throughput"] = f"fps is {wish.efficiency:g} of the bound, as asked"
    if form is Format.JSON:
        return as_json(
            {
                "conventions": stated,
                "network": network,
                "wish": {
                    "min_fps": wish.fps,
                    "max_watts": wish.watts,
                    "max_price": wish.price,
                    "efficiency": wish.efficiency,
                },
                "needs": [need.record() for need in advice.needs],
                "machines": advice.records(),
                "without_unit": list(advice.without_unit),
            }
        )
    needs = [
        f"{network} at {number(wish.fps)} fps in {need.datatype}, batch {need.batch}, needs at least "
        f"{number(need.peak / 1e12)} TOP/s, {number(need.bandwidth / 1e9)} GB/s and {number(need.capacity / 1e6)} MB"
        for need in advice.needs
    ]
    notes = [stated.pop("throughput")] if "throughput" in stated else []
    if advice.without_unit:
        notes.insert(0, f"without such a unit: {', '.join(advice.without_unit)}")
    rows = [_cells(row) for row in advice.records()]
    table = as_table(rows, notes=notes, explained=list(stated.values()))
    return "\n".join([*needs, "", table])


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "platform": row["platform"],
        "datatype": row["datatype"],
        "batch": row["batch"],
        "answer": row["answer"],
        "fps": number(row["expected_fps"]) or "unknown",
        "low end": number(row["low_fps"]) or "unknown",
        "bound only": number(row["throughput_fps"]) if row["low_fps"] is None else None,
        "bound": row["bound"],
        "W": number(row["tdp_w"]),
        "USD": number(row["price_usd"]),
        "fps/W": number(row["fps_per_w"]),
        "remarks": "; ".join([*row["obstacles"], *row["doubts"]]),
    }
