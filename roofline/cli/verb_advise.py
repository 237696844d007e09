"""``roofline advise``: which machines run networks as fast as is asked, and which peak and bandwidth would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli._advice import Answer, left_out_of
from roofline.cli._compression import CompressionOptions
from roofline.cli._decoding import DecoderOptions, split_decoders
from roofline.cli._evidence import EvidenceOption, check_corrects, effects_of, figures_of
from roofline.cli._groups import command
from roofline.cli._options import (
    BoundSizesOption,
    SizeOptions,
    load_models,
    unique_models,
)
from roofline.cli._output import Format, ResultOptions, SortOption, arrange, say
from roofline.cli._wishes import LIMITS, MachineOptions, WishOptions
from roofline.errors import OptionError

if TYPE_CHECKING:
    from roofline.advice import Advice, Wish
    from roofline.decoding.phases import Decoding
    from roofline.decoding.request import Request
    from roofline.expected_tokens import Figures
    from roofline.model._law_estimates import Effect
    from roofline.spec import Platform
    from roofline.workload import Workload

app = typer.Typer(add_completion=False)


def _say_once(models: list[str]) -> list[str]:
    """Return each model once; networks share a machine by their rates, however often they are named."""
    once = unique_models(models)
    if len(once) < len(models):
        again = next(model for model in once if models.count(model) > 1)
        say(
            f"roofline: {again} is named more than once and shares the machine once; ask for the sum of the rates: "
            f"--min-fps {again}=60"
        )
    return once


@dataclass(frozen=True, kw_only=True, slots=True)
class AdviceOptions:
    """What is to run, and by what machines are judged."""

    models: Annotated[list[str], typer.Argument(metavar="MODEL...", callback=_say_once)]
    """An .onnx file, or the name of a shipped network; several share a machine."""
    max_devices: Annotated[int, typer.Option(min=1, rich_help_panel=LIMITS)] = 8
    """Most devices that share a decoder; the fewest that do are taken."""
    accuracy: Annotated[Path | None, typer.Option(metavar="TABLE.csv")] = None
    """Accuracies of compressed networks: columns network, datatype, accuracy_percent, keep_channels."""
    batch: Annotated[list[int] | None, typer.Option("-b", min=1)] = None
    """Items per batch that would do; several by commas."""
    prediction_model: Annotated[str | None, typer.Option("--model")] = None
    """Prediction model: equation1, ... Default: the best estimate, else the bound."""
    top: Annotated[int | None, typer.Option(min=0)] = None
    """Only the first so many rows; 0: all. Default: 20 in tables, else all."""


@command(app)
def advise(
    *,
    wishes: WishOptions,
    choice: MachineOptions,
    options: AdviceOptions,
    evidence: EvidenceOption = None,
    compression: CompressionOptions,
    inputs: SizeOptions,
    bound_sizes: BoundSizesOption = False,
    decoding: DecoderOptions,
    sort: SortOption = "",
    result: ResultOptions,
) -> None:
    """Find the machines that run networks as fast as is asked, within power and price; exit code 1 if there is none."""
    _check_options(compression, wishes, options.prediction_model, evidence)
    wish, machines, datatypes = wishes.wish(), choice.machines(), compression.datatypes
    request = decoding.request()
    others, decoders = split_decoders(options.models, request, bound=inputs.is_given)
    workloads: list[Workload] = []
    if decoders:
        _check_decoder(decoders, others, compression, wishes)
        advice = _of_decoder(
            decoders[0], request, machines, wish, datatypes, options, figures_of(evidence, machines)
        )  # fmt: skip
    else:
        _check_frames(others, wishes, wish)
        loaded = load_models(others, inputs.binding(bound_sizes=bound_sizes))
        workloads = [compression.at(workload, None) for workload in loaded]
        advice = _of_networks(
            workloads, machines, wish, datatypes, options, compressible=not compression.prunes,
            effects=effects_of(evidence, machines),
        )  # fmt: skip
    names = [entry.name for entry in (workloads or decoders)]
    most = (20 if result.form is Format.TABLE else 0) if options.top is None else options.top
    advice = _order(advice, sort)
    shown = advice.candidates[:most] if most else advice.candidates
    answer = Answer(advice, wish, names, workloads, shown, sort)
    result.emit(document=answer.document, rows=answer.rows, table=answer.table)
    if result.form is Format.CSV:
        for what, keys in left_out_of(advice):
            if keys:
                say(f"roofline: left out, {what}: {', '.join(keys)}")
    if not any(candidate.suits for candidate in advice.candidates):
        open_ = any(candidate.answer == "unknown" for candidate in advice.candidates)
        say(f"roofline: no machine {'is known to reach' if open_ else 'reaches'} it")
        raise typer.Exit(1)


def _order(advice: Advice, sort: str) -> Advice:
    """Return advice in the order that is asked for, which its verdict follows too."""
    if not sort:
        return advice
    found = arrange(advice.candidates, advice.records(), sort, 0)
    # A machine that fails is no answer, however cheap it is.
    found.sort(key=lambda entry: ("yes", "unknown", "no").index(entry.answer))
    return replace(advice, candidates=tuple(found))


def _check_options(
    compression: CompressionOptions, wishes: WishOptions, model: str | None, evidence: Path | None
) -> None:
    """Refuse options that say what advise does not take, or one thing twice."""
    if compression.parts:
        raise OptionError(
            "advise takes whole datatypes", repair="Use predict for parts of a network"
        )
    check_corrects(model, evidence=evidence)
    if evidence is not None and wishes.efficiency is not None:
        raise OptionError(
            "--efficiency and --evidence both say how far below the bound runs are",
            repair="Leave one of them out",
        )


def _check_frames(others: Sequence[str], wishes: WishOptions, wish: Wish) -> None:
    """Refuse to ask networks that have no tokens for any."""
    from roofline.advice.wish import MAX_TPOT, MAX_TTFT, MIN_FPS, MIN_TOKENS_PER_S

    if wishes.min_tokens_per_s is not None or wish.ttft is not None or wish.tpot is not None:
        raise OptionError(
            f"{others[0]} is no decoder: it has no tokens for {MIN_TOKENS_PER_S}, {MAX_TTFT} or {MAX_TPOT}",
            repair=f"Ask for {MIN_FPS}",
        )


def _check_decoder(
    decoders: Sequence[Decoding],
    others: Sequence[str],
    compression: CompressionOptions,
    wishes: WishOptions,
) -> None:
    if others or len(decoders) > 1:
        raise OptionError(
            "a decoder shares its machine with no other network here", repair="Ask for each alone"
        )
    if wishes.min_fps:
        raise OptionError(
            f"{decoders[0].name} is a decoder: it has tokens, and no frames for --min-fps",
            repair="Ask for --min-tokens-per-s, --max-ttft-ms or --max-tpot-ms",
        )
    if compression.prunes:
        raise OptionError(
            "advise takes no pruning of decoders",
            repair="Leave --keep-channels and --sparsity out",
        )


def _of_networks(
    workloads: Sequence[Workload], machines: Sequence[Platform], wish: Wish, datatypes: Sequence[str],
    options: AdviceOptions, *, compressible: bool, effects: Mapping[str, Effect] | None,
) -> Advice:  # fmt: skip
    from roofline.advice import advise
    from roofline.advice.accuracies import known_accuracies
    from roofline.advice.remedies import with_remedies

    known, model = known_accuracies(options.accuracy), options.prediction_model
    found = advise(
        workloads, machines, wish, datatypes=datatypes, batches=options.batch, model=model, effects=effects
    )  # fmt: skip
    # A bound makes no machine pass, and what is pruned already is not pruned once more.
    if model is not None or wish.efficiency is not None or not compressible:
        return found
    return with_remedies(found, workloads, machines, wish, known, effects=effects)


def _of_decoder(
    decoder: Decoding, request: Request | None, machines: Sequence[Platform], wish: Wish, datatypes: Sequence[str],
    options: AdviceOptions, figures: Mapping[str, Figures] | None,
) -> Advice:  # fmt: skip
    from roofline.advice import advise_decoder
    from roofline.cli._decoding import UNASKED

    return advise_decoder(
        decoder, request or UNASKED, machines, wish, datatypes=datatypes, batches=options.batch,
        model=options.prediction_model, most_devices=options.max_devices, figures=figures,
    )  # fmt: skip
