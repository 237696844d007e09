"""``roofline score``: how good predictions are against published or stored runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from roofline.cli._groups import command
from roofline.cli._output import (
    OrderOptions,
    ResultOptions,
    as_csv,
    as_table,
    check_ending,
    say_written,
)
from roofline.cli._predictions import number
from roofline.errors import TableError, own_spelling
from roofline.number_format import plural

if TYPE_CHECKING:
    from roofline.tables import Record
    from roofline.validate.evidence.forms import Source
    from roofline.validate.evidence.score import Scoring
    from roofline.validate.evidence.scores import DecoderScores, RunScores, Scores, ScoresByLabel

app = typer.Typer(add_completion=False)

TABLES = (
    "all",
    "in_sample",
    "early",
    "by_quantity",
    "set_aside",
    "by_class",
    "by_runtime",
    "by_kind",
    "by_devices",
    "by_maker",
    "by_machine",
)


_REASONS = 4
"""Reasons why rows have no basis that are shown."""
TITLES = {"early": "early, not in the fit"}
"""What a table is called where its name says too little."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreOptions:
    """Which predictions are scored, and on what."""

    file: Annotated[Path, typer.Argument(metavar="FILE")]
    """CSV of runs (see the page on expected), a record store or its export, or what validate wrote."""
    model: str = "expected"
    """Prediction model: equation1, layerwise, calibrated, expected. Those that need a graph judge the runs of shipped
    networks, and of --network."""
    leave: str = "none"
    """silicon (of machines), family (of networks), setting (runtime and datatype on silicon), class, runtime or maker
    (of machines): refit from FILE without what is judged. none: the shipped parameters."""
    figures: Annotated[int, typer.Option(min=0, max=50)] = 0
    """Runs of each machine that correct its estimates first."""
    rows: Annotated[
        Path | None,
        typer.Option(callback=check_ending("a table of runs", ".csv"), metavar="OUT.csv"),
    ] = None
    """Write every run with predicted_fps, low_fps, high_fps, basis."""
    platform: Annotated[list[str] | None, typer.Option("-p")] = None
    """A machine that records name and that is not shipped: its YAML file; repeatable, or several by commas."""
    network: list[Path] | None = None
    """An ONNX file that records name and that is not shipped; repeatable."""


@command(app)
def score(
    *,
    options: ScoreOptions,
    order: OrderOptions,
    result: ResultOptions,
) -> None:
    """Score predictions against real runs: errors, order, intervals, by class, machine, runtime and network."""
    from roofline.model import models
    from roofline.validate.evidence.forms import read_source
    from roofline.validate.evidence.score import LEAVES

    options = replace(
        options,
        model=own_spelling(options.model, list(models)) or options.model,
        leave=own_spelling(options.leave, LEAVES) or options.leave,
    )
    source = read_source(options.file)
    _check_columns(source)
    scored = _decoders if source.form.of_decoders else _runs
    document: Mapping[str, object] = scored(source, options)
    if order.is_given:
        document = {
            name: _order_table(found, order) if name in TABLES else found
            for name, found in document.items()
        }
    result.emit(
        document=lambda: document,
        rows=lambda: _records(document),
        table=lambda: _tables(document),
    )


def _check_columns(source: Source) -> None:
    """Tell a table of decoders that lacks a column from one of other networks.

    Raises:
        TableError: It has rates of tokens, but not what they are scored by.
    """
    from roofline.validate.evidence.forms import Form
    from roofline.validate.evidence.single_user import COLUMNS

    if source.form not in {Form.OTHER, Form.RATES}:
        return
    header = source.table.header
    if "tokens_per_s" in header and "fps" not in header:
        missing = sorted(COLUMNS - set(header))
        raise TableError(
            f"{source.path} has rates of tokens and no column {', '.join(missing)}",
            repair="docs/tokens.md has the columns that runs of decoders are scored by",
        )


def _runs(source: Source, options: ScoreOptions) -> RunScores:
    """Score a table of runs of networks."""
    from roofline.cli._progress import progress
    from roofline.spec import platform as find_platform
    from roofline.validate.evidence.forms import Form
    from roofline.validate.evidence.measures import summary
    from roofline.validate.evidence.rates import count_unstated
    from roofline.validate.evidence.readers import evidence_of
    from roofline.validate.evidence.score import score as score_evidence

    evidence = evidence_of(
        source,
        machines=[find_platform(key) for key in options.platform or ()],
        networks=options.network or (),
    )
    with progress("score") as report:
        fits = 0

        def count_fit() -> None:
            nonlocal fits
            fits += 1
            report(plural(fits, "fit"), fits, 0)

        scored = score_evidence(
            evidence,
            model=options.model,
            leave=options.leave,
            figures=options.figures,
            progress=count_fit,
        )
    if options.rows is not None:
        _write_rows(scored, options.rows)
    document = summary(scored)
    silent = (
        count_unstated(source.table)
        if source.form is Form.RATES and options.model == "expected"
        else 0
    )
    if silent:
        document["conventions"]["mode"] = (
            f"{plural(silent, 'run')} without a mode, taken as one batch behind another; write mode throughput where "
            "several were in flight, as in the fps of predict"
        )
    return document


def _decoders(source: Source, options: ScoreOptions) -> DecoderScores:
    """Score a table of runs of decoders."""
    from roofline.validate.evidence import decoder_score
    from roofline.validate.evidence.decoder_rows import decoder_table
    from roofline.writing import write_whole

    table = decoder_table(source)
    predicted = decoder_score.predict_table(table, model=options.model, leave=options.leave)
    if options.rows is not None:
        write_whole(options.rows, as_csv(decoder_score.rows_with(table, predicted)).encode())
        say_written(str(options.rows))
    return decoder_score.summary(table, predicted, model=options.model, leave=options.leave)


def _order_table(found: Any, order: OrderOptions) -> Any:
    """Return a table of several rows in the order that is asked for; others as they are."""
    if not found or "n" in found:
        return found
    entries = list(found.items())
    return dict(order.arrange(entries, [{"of": label, **entry} for label, entry in entries]))


def _tables(document: Mapping[str, object]) -> str:
    found = [
        as_table(
            [_cells(label, entry) for label, entry in _entries(document, name).items()],
            title=TITLES.get(name, name.replace("_", " ")),
        )
        for name in TABLES
        if document.get(name)
    ]
    conventions = dict(cast("Mapping[str, str]", document["conventions"]))
    notes = [f"mode: {conventions.pop('mode')}"] if "mode" in conventions else []
    notes += _gaps(cast("Mapping[str, object]", document["evidence"]))
    stated = [f"{name}: {text}" for name, text in conventions.items()]
    head = (
        f"{document['model']} (version {document['model_version']}), --leave {document['leave']}"
    )
    return (
        f"{head}\n\n" + "\n\n".join(found) + "\n\n" + as_table([], notes=notes, explained=stated)
    )


def _gaps(evidence: Mapping[str, object]) -> list[str]:
    """Return which rows are not scored, the most frequent reasons first."""
    reasons = cast("Mapping[str, int]", evidence.get("without_basis") or {})
    if not reasons:
        return []
    first = sorted(reasons.items(), key=lambda entry: -entry[1])[:_REASONS]
    shown = "; ".join(f"{reason} ({count})" for reason, count in first)
    more = (
        f"; and {plural(len(reasons) - len(first), 'further reason')}"
        if len(reasons) > _REASONS
        else ""
    )
    return [
        f"{plural(sum(reasons.values()), 'row')} of {evidence['runs']} without a basis: {shown}{more}"
    ]


def _entries(document: Mapping[str, object], name: str) -> Mapping[str, Scores]:
    """Return the scores in a table of the document, by what they are of; that of all runs by its own name."""
    found = cast("Scores | ScoresByLabel | None", document.get(name))
    if not found:
        return {}
    return {name: cast("Scores", found)} if "n" in found else found


def _records(document: Mapping[str, object]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {"table": name, "of": label, **entry}
        for name in TABLES
        for label, entry in _entries(document, name).items()
    ]
    columns = list(dict.fromkeys(key for row in rows for key in row if key != "coverage_curve"))
    return [{key: row.get(key) for key in columns} for row in rows]


def _cells(label: str, row: Scores) -> Record:
    shown: Record = {
        "of": label, "n": row["n"], "machines": row["machines"],
        "factor (machines)": number(row["factor_machines"]), "factor (rows)": number(row["factor_rows"]),
        "MAPE %": number(100 * row["mape"]), "median %": number(100 * row["median_ape"]),
        "±10 %": number(100 * row["within_10"]), "±20 %": number(100 * row["within_20"]),
        "2x": number(100 * row["within_2x"]), "bias": number(row["bias"]),
    }  # fmt: skip
    if "order" in row:
        order, ranks = row["order"], row.get("spearman")
        shown["order"] = None if order is None else number(order)
        shown["Spearman"] = None if ranks is None else number(ranks)
    if "coverage" in row and "coverage_machines" in row and "width" in row:
        shown["in 80 % (machines)"] = number(100 * row["coverage_machines"])
        shown["in 80 % (rows)"] = number(100 * row["coverage"])
        shown["high/low"] = number(row["width"])
    return shown


def _write_rows(scored: Scoring, path: Path) -> None:
    from roofline.validate.evidence.score import NO_BASIS
    from roofline.writing import write_whole

    bound = not scored.coverage
    classes = scored.evidence.facts.machine_class
    written = [
        row
        | {
            "predicted_fps": float(scored.predicted[i]) if scored.asked[i] else None,
            "low_fps": None if bound or not scored.asked[i] else float(scored.low[i]),
            "high_fps": None if bound or not scored.asked[i] else float(scored.high[i]),
            "basis": scored.basis[i]
            if scored.asked[i] or scored.basis[i] == NO_BASIS
            else "gave a figure",
            "in_sample": bool(scored.in_sample[i]),
            "early": bool(scored.early[i]),
            "machine_class": row.get("machine_class") or str(classes[i]),
        }
        for i, row in enumerate(scored.evidence.rows)
    ]
    write_whole(path, as_csv(written).encode())
    say_written(str(path))
