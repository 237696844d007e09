"""``roofline advise``: which machines run networks as fast as is asked, and which peak and bandwidth would."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli._advice import written
from roofline.cli._compression import (
    DatatypesOption,
    KeepChannelsOption,
    SparseFormatOption,
    SparsityOption,
)
from roofline.cli._decoding import (
    ContextOption,
    NewTokensOption,
    PhaseOption,
    SpreadOption,
    asked_request,
    told_apart,
)
from roofline.cli._options import (
    BoundSizesOption,
    DimOption,
    InputOption,
    ModelsArgument,
    ValueOption,
    load_models,
    parse_binding,
    parse_rates,
    split_names,
)
from roofline.cli._output import (
    Format,
    FormatOption,
    OutputOption,
    SortOption,
    arranged,
    emit,
    say,
)
from roofline.compression_flags import compressed
from roofline.units import scaled

if TYPE_CHECKING:
    from roofline.advice import Advice, Wish
    from roofline.decoding.phases import Decoding, Request
    from roofline.spec import Platform
    from roofline.workload import Workload

app = typer.Typer()

_LIMITS = "Limits"
_COST = "Cost"


@app.command()
def advise(
    *,
    models: ModelsArgument,
    min_fps: Annotated[
        list[str] | None,
        typer.Option(
            "--min-fps",
            metavar="FPS",
            help="Frames per second to reach; NETWORK=FPS where networks that share a machine differ; repeatable.",
        ),
    ] = None,
    streams: Annotated[
        int | None,
        typer.Option("--streams", min=1, help="Cameras: as many units are taken as they need."),
    ] = None,
    stream_fps: Annotated[
        float | None, typer.Option("--stream-fps", help="Frames per second of each camera.")
    ] = None,
    min_tokens_per_s: Annotated[
        float | None,
        typer.Option("--min-tokens-per-s", help="Tokens per second of a decoder's requests."),
    ] = None,
    max_latency_ms: Annotated[
        float | None,
        typer.Option(
            "--max-latency-ms",
            rich_help_panel=_LIMITS,
            help="Longest time of a batch; without -b the fastest batch within it is taken.",
        ),
    ] = None,
    max_ttft_ms: Annotated[
        float | None,
        typer.Option(
            "--max-ttft-ms",
            rich_help_panel=_LIMITS,
            help="Longest time to a decoder's first token.",
        ),
    ] = None,
    max_tpot_ms: Annotated[
        float | None,
        typer.Option(
            "--max-tpot-ms", rich_help_panel=_LIMITS, help="Longest time per output token."
        ),
    ] = None,
    max_watts: Annotated[
        float | None,
        typer.Option(
            "--max-watts",
            rich_help_panel=_LIMITS,
            help="Most thermal design power of what the price buys, all units, W.",
        ),
    ] = None,
    max_price: Annotated[
        float | None,
        typer.Option("--max-price", rich_help_panel=_LIMITS, help="Most to pay, all units, USD."),
    ] = None,
    min_memory_gb: Annotated[
        float | None,
        typer.Option(
            "--min-memory-gb", rich_help_panel=_LIMITS, help="Least memory of a unit, GB."
        ),
    ] = None,
    segment: Annotated[
        list[str] | None,
        typer.Option(
            "--segment",
            rich_help_panel=_LIMITS,
            help="data centre, desktop, laptop, phone, edge or microcontroller; repeatable.",
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind", rich_help_panel=_LIMITS, help="cpu, gpu, npu, fpga or tpu; repeatable."
        ),
    ] = None,
    max_devices: Annotated[
        int,
        typer.Option(
            "--max-devices",
            min=1,
            rich_help_panel=_LIMITS,
            help="Most devices that share a decoder; the fewest that do are taken.",
        ),
    ] = 8,
    efficiency: Annotated[
        float | None,
        typer.Option("--efficiency", help="Share of the bound that a real run reaches: 0.3."),
    ] = None,
    lifetime_years: Annotated[
        float,
        typer.Option(
            "--lifetime-years", rich_help_panel=_COST, help="Time over which the price is spread."
        ),
    ] = 3.0,
    usd_per_kwh: Annotated[
        float, typer.Option("--usd-per-kwh", rich_help_panel=_COST, help="Price of electricity.")
    ] = 0.15,
    accuracy: Annotated[
        Path | None,
        typer.Option(
            "--accuracy",
            metavar="TABLE.csv",
            help="Accuracies of compressed networks: columns network, datatype, accuracy_percent, keep_channels.",
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
    context: ContextOption = None,
    new_tokens: NewTokensOption = None,
    phase: PhaseOption = None,
    spread: SpreadOption = None,
    sort: SortOption = "",
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            min=0,
            help="Only the first so many rows; 0: all. Default: 20 in tables, else all.",
        ),
    ] = None,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Find the machines that run networks as fast as is asked, within power and price; exit code 1 if there is none."""
    from roofline.advice import Wish
    from roofline.errors import OptionError

    if any("=" in name for name in datatype or ()):
        raise OptionError(
            "advise takes whole datatypes", repair="Use predict for parts of a network"
        )
    rate, rates = _rates(min_fps, stream_fps, min_tokens_per_s, streams)
    wish = Wish(
        rate, max_watts, max_price, efficiency, rates, streams, scaled(max_latency_ms, 1e-3),
        scaled(max_ttft_ms, 1e-3), scaled(max_tpot_ms, 1e-3), scaled(min_memory_gb, 1e9), lifetime_years,
        usd_per_kwh,
    )  # fmt: skip
    machines = _machines(split_names(platform), split_names(segment), split_names(kind))
    request = asked_request(context, new_tokens, phase, None, spread=spread)
    others, decoders = told_apart(models, request, bound=bool(dim or input_ or value))
    if decoders:
        if others or len(decoders) > 1:
            raise OptionError(
                "a decoder shares its machine with no other network here",
                repair="Ask for each alone",
            )
        if keep_channels or sparsity:
            raise OptionError(
                "advise takes no pruning of decoders",
                repair="Leave --keep-channels and --sparsity out",
            )
        advice = _of_decoder(
            decoders[0], request, machines, wish, split_names(datatype), batch, prediction_model, max_devices
        )  # fmt: skip
        names, workloads = [decoders[0].name], []
    else:
        if min_tokens_per_s is not None or wish.ttft is not None or wish.tpot is not None:
            raise OptionError(
                f"{others[0]} is no decoder and has no tokens", repair="Ask for --min-fps"
            )
        loaded = load_models(
            others, parse_binding(None, dim, input_, value, bound_sizes=bound_sizes)
        )
        workloads = [
            compressed(workload, keep_channels, sparsity, sparse_format) for workload in loaded
        ]
        names = [workload.name for workload in workloads]
        advice = _of_networks(
            workloads, machines, wish, split_names(datatype), batch, prediction_model, accuracy,
            compressible=not (keep_channels or sparsity),
        )  # fmt: skip
    most = (20 if form is Format.TABLE else 0) if top is None else top
    shown = list(advice.candidates)
    if sort:
        shown = arranged(shown, advice.records(), sort, 0)
        # A machine that fails is no answer, however cheap it is.
        shown.sort(key=lambda entry: ("yes", "unknown", "no").index(entry.answer))
    shown = shown[:most] if most else shown
    emit(written(advice, wish, names, workloads, shown, form), output)
    if form is Format.CSV and advice.without_unit:
        say(f"roofline: left out, without such a unit: {', '.join(advice.without_unit)}")
    if not any(candidate.suits for candidate in advice.candidates):
        open_ = any(candidate.answer == "unknown" for candidate in advice.candidates)
        say(f"roofline: no machine {'is known to reach' if open_ else 'reaches'} it")
        raise typer.Exit(1)


def _of_networks(
    workloads: Sequence[Workload], machines: Sequence[Platform], wish: Wish, datatypes: Sequence[str],
    batches: Sequence[int] | None, model: str | None, accuracy: Path | None, *, compressible: bool,
) -> Advice:  # fmt: skip
    from roofline.advice import advise
    from roofline.advice.accuracies import known_accuracies
    from roofline.advice.remedies import with_remedies

    known = known_accuracies(accuracy)
    found = advise(workloads, machines, wish, datatypes=datatypes, batches=batches, model=model)
    # A bound makes no machine pass, and what is pruned already is not pruned once more.
    if model is not None or wish.efficiency is not None or not compressible:
        return found
    return with_remedies(found, workloads, machines, wish, known)


def _of_decoder(
    decoder: Decoding, request: Request | None, machines: Sequence[Platform], wish: Wish, datatypes: Sequence[str],
    batches: Sequence[int] | None, model: str | None, most_devices: int,
) -> Advice:  # fmt: skip
    from roofline.advice import advise_decoder
    from roofline.cli._decoding import NEW_TOKENS
    from roofline.decoding.phases import Request

    return advise_decoder(
        decoder, request or Request(new_tokens=NEW_TOKENS), machines, wish, datatypes=datatypes, batches=batches,
        model=model, most_devices=most_devices,
    )  # fmt: skip


def _rates(
    min_fps: list[str] | None, stream_fps: float | None, tokens_per_s: float | None, streams: int | None
) -> tuple[float | None, dict[str, float]]:  # fmt: skip
    """Return the rate that is asked of each network, and those of single ones.

    Raises:
        OptionError: It is given in more than one way, or a text is no rate.
    """
    from roofline.errors import OptionError

    given = [
        flag
        for flag, value in (
            ("--min-fps", min_fps), ("--stream-fps", stream_fps), ("--min-tokens-per-s", tokens_per_s),
        )
        if value
    ]  # fmt: skip
    if len(given) > 1:
        raise OptionError(
            f"{' and '.join(given)} ask for the same thing", repair="Leave one of them out"
        )
    if stream_fps is not None and streams is None:
        raise OptionError("--stream-fps without --streams", repair="Give the number of --streams")
    rate, rates = parse_rates("--min-fps", min_fps)
    return next(
        (value for value in (rate, stream_fps, tokens_per_s) if value is not None), None
    ), rates


def _machines(names: list[str], segments: list[str], kinds: list[str]) -> list[Platform]:
    """Return the machines to choose among.

    Raises:
        OptionError: A segment or kind is not known, or no machine is of both.
    """
    from roofline.errors import OptionError, did_you_mean
    from roofline.spec import platform as find_platform
    from roofline.spec import platform_keys
    from roofline.spec.names import MACHINE_KINDS, SEGMENTS

    for flag, given, known in (
        ("--segment", segments, SEGMENTS),
        ("--kind", kinds, MACHINE_KINDS),
    ):
        for name in given:
            if name not in known:
                hint = did_you_mean(name, known) or f"Known: {', '.join(known)}"
                raise OptionError(f"{flag}: {name!r} is not known", repair=hint)
    found = [
        machine
        for machine in map(find_platform, names or platform_keys())
        if (not segments or machine.segment in segments) and (not kinds or machine.kind in kinds)
    ]
    if not found:
        raise OptionError(
            "no machine is of that segment and kind", repair="Leave --segment or --kind out"
        )
    return found
