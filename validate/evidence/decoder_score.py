"""How good predictions of decoders are against tables of public runs, and the rows with what is predicted of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from roofline.errors import OptionError, TableError
from roofline.model.decoder_laws import shipped_laws
from roofline.model.sum_law import Floats, half_width, leave_out
from roofline.number_format import plural
from roofline.surfaces import MODEL, argument
from roofline.validate.evidence.decoder_fit import nested_class_widths
from roofline.validate.evidence.decoder_rows import QuantityRows, Table
from roofline.validate.evidence.scores import (
    DecoderScores,
    Overall,
    ScoreHead,
    Scores,
    ScoresByLabel,
)

_BOUNDS = {
    "decode": ("work",),
    "prefill": ("work",),
    "tpot": ("step", "prompts"),
    "ttft": ("prompt",),
    "several": ("step", "prompts"),
}
"""The terms that no run can be faster than."""


_OVER = 3.0
"""Times its bound at which a rate is of another unit or another machine. Files hold tables that a token does not read,
and llama.cpp may round activations to a faster unit's: runs of up to 1.3 times are real."""


@dataclass(frozen=True, slots=True)
class QuantityPrediction:
    """What a law says of a quantity of some rows of a table, in seconds."""

    rows: QuantityRows
    log_times: Floats
    width: Floats
    """Logarithmic half-widths of the 80 % interval; zero for bounds."""
    measured: Floats
    """Logarithms; NaN where a row states no figure."""
    least: Floats
    """Logarithm of the bound."""
    withheld: tuple[bool, ...]
    """Whether only the bound is given: a queue decides."""
    aside: tuple[str, ...]
    """Why a run is no steady load and is judged apart; empty where it is one."""


def predict_table(
    table: Table, *, model: str = "expected", leave: str = "none"
) -> list[QuantityPrediction]:
    """Predict each row that has a basis.

    Args:
        table: The rows.
        model: ``expected``, or ``equation1`` for the bound.
        leave: ``none`` for the shipped laws; ``silicon`` refits without the row's machine, ``family`` without its
            model.

    Raises:
        OptionError: The model or what is to be left out is not known.
        TableError: No row has a basis, or a rate is far beyond its bound.
    """
    if model not in {"expected", "equation1"}:
        raise OptionError(
            f"{model} says nothing of decoders here",
            repair=f"Use {MODEL.at('expected')} or equation1",
        )
    if leave not in {"none", "silicon", "family"}:
        raise OptionError(
            f"unknown {argument('leave').at(repr(leave))}", repair="Use silicon, family or none"
        )
    if table.rows and not any(table.of(quantity).rows for quantity in table.quantities):
        reason, count = max(table.gaps.items(), key=lambda entry: entry[1])
        raise TableError(
            f"no row has a basis: {reason} ({count} of {plural(len(table.rows), 'row')})",
            repair="Mend the rows; docs/tokens.md has the columns",
        )
    found: list[QuantityPrediction] = []
    for quantity in table.quantities:
        rows = table.of(quantity)
        if not rows.rows:
            continue
        runs, measured = rows.runs, rows.measured
        least = np.log(sum(runs.terms[term] for term in _BOUNDS[quantity]))
        _check_rates(rows, least - measured)
        entry, aside = shipped_laws()[quantity], rows.set_aside
        machines = rows.machines
        width = np.array(
            [entry.width(group, name) for group, name in zip(rows.groups, machines, strict=True)]
        )
        if model == "equation1":
            times, width = least, np.zeros(len(measured))
        elif leave == "none":
            own = np.array([entry.own.get(name, 0.0) for name in machines])
            times = entry.law.log_times(runs) + own
        else:
            known = np.isfinite(measured)
            times = np.full(len(measured), np.nan)
            labels = rows.labels(leave)
            steady = np.array([not why for why in aside])
            times[known] = leave_out(
                runs.of(known), measured[known], rows.priors,
                [label for label, there in zip(labels, known, strict=True) if there], steady[known],
            )  # fmt: skip
            if table.many:
                off = np.where(steady, times - measured, np.nan)
                width = nested_widths(off, labels, rows.together)
            else:
                width = nested_class_widths(times - measured, labels, rows.groups)
        found.append(QuantityPrediction(rows, times, width, measured, least, rows.queued, aside))
    return found


def _check_rates(rows: QuantityRows, over: Floats) -> None:
    """Refuse rates that no machine has.

    Raises:
        TableError: A rate is beyond `_OVER` times what bandwidth or peak lets through.
    """
    for place, row, beyond in zip(rows.places, rows.rows, np.exp(over).tolist(), strict=True):
        if beyond > _OVER and row.get("tokens_per_s"):
            raise TableError(
                f"row {place + 1}: {row['tokens_per_s']} tokens/s of {row.get('model')} are {beyond:.0f} times "
                f"what the data sheet of {row.get('machine') or row.get('system')} lets through",
                repair="Mend the rate, the weights or the machine, or leave the row out",
            )


def nested_widths(off: Floats, labels: Sequence[str], together: Sequence[str]) -> Floats:
    """Return of each run the half-width that held 80 % of the errors on all labels but its own.

    Args:
        off: Errors as logarithms, each of a law that was fitted without the run's own label; NaN for runs judged apart.
        labels: What was left out as one.
        together: What runs have their errors in common by: each such counts as one.
    """
    marks, alike = np.array(labels), np.array(together)
    widths = {
        label: half_width(off[marks != label], together=alike[marks != label].tolist())
        for label in set(labels)
    }
    return np.array([widths[label] for label in labels])


def rows_with(table: Table, predicted: Sequence[QuantityPrediction]) -> list[dict[str, object]]:
    """Return the rows with what is predicted of each; those without a basis stay empty."""
    names = ("tpot_ms", "ttft_ms") if table.many else ("tokens_per_s",)
    written: list[dict[str, object]] = [
        {
            **row,
            **{f"{part}_{name}": None for name in names for part in ("predicted", "low", "high")},
            **({"set_aside": ""} if table.many else {}),
        }
        for row in table.rows
    ]
    for entry in predicted:
        quantity = "tpot" if entry.rows.quantity == "several" else entry.rows.quantity
        name = f"{quantity}_ms" if table.many else "tokens_per_s"
        for place, time, width, least, withheld, aside in zip(
            entry.rows.places, entry.log_times, entry.width, entry.least, entry.withheld, entry.aside, strict=True
        ):  # fmt: skip
            if not np.isfinite(time):
                continue
            if withheld:
                written[place][f"low_{name}"] = 1e3 * float(np.exp(least))
                continue
            ends = [time, time - width, time + width] if width else [time]
            if table.many and aside:
                written[place]["set_aside"] = aside
            shown = [1e3 * float(np.exp(end)) for end in ends]
            if not table.many:
                shown = [
                    float(np.exp(-end))
                    for end in ([time, time + width, time - width] if width else ends)
                ]
            written[place] |= dict(
                zip((f"predicted_{name}", f"low_{name}", f"high_{name}"), shown, strict=False)
            )
    return written


def summary(
    table: Table, predicted: Sequence[QuantityPrediction], *, model: str, leave: str
) -> DecoderScores:
    """Return the score as plain data: of each quantity, and of the first by class, machine and model."""
    head: ScoreHead = {
        "model": model,
        "model_version": "decoders 4",
        "leave": leave,
        "evidence": {
            "sha256": table.sha256,
            "runs": len(table.rows),
            "without_basis": dict(table.gaps),
        },
        "conventions": {
            "factor": "exp of the median of |log(predicted / measured)|; over machines: the mean of each machine's",
            "errors": "|predicted - measured| / measured, of times; 1.0 is 100 %",
            "bias": "geometric mean of predicted / measured time",
            "coverage": "share of runs in the 80 % interval",
            "basis": "rows of schemes, models or machines that are not modelled are not scored; in sample unless "
            "--leave says what was left out",
            "set aside": "runs that are no steady load, by their own times, are judged apart: fewer than half of the "
            "requests write at a time, or the step is faster than its bound",
        },
    }
    overall: Overall = {}
    tables: _Tables = {}
    by_quantity: dict[str, Scores] = {}
    shown = next((entry.rows.quantity for entry in predicted), "")
    for entry in predicted:
        kept = (
            np.isfinite(entry.measured) & np.isfinite(entry.log_times) & ~np.array(entry.withheld)
        )
        rows = entry.rows
        aside = np.array(entry.aside)
        apart = {
            str(why): _scores(entry, kept & (aside == why))
            for why in sorted(set(aside[kept].tolist()) - {""})
        }
        kept &= aside == ""
        if not kept.any():
            continue
        by_quantity[rows.quantity] = _scores(entry, kept)
        if rows.quantity != shown:
            continue
        overall["in_sample" if leave == "none" else "all"] = by_quantity[rows.quantity]
        tables = {
            "by_class": _by(entry, kept, rows.groups),
            "by_kind": _by(entry, kept, rows.labels("family")),
            "by_machine": _by(entry, kept, rows.machines),
            "by_runtime": _by(
                entry, kept, [row.get("backend") or row.get("runtime", "") for row in rows.rows]
            ),
            "by_devices": _by(
                entry,
                kept,
                [f"{float(row.get('tp_size') or row.get('devices') or 1):g}" for row in rows.rows],
            ),
        }
        if apart:
            tables["set_aside"] = apart
    return {**head, **overall, **tables, "by_quantity": by_quantity}


class _Tables(TypedDict, total=False):
    """Scores of the first quantity by what its runs are of."""

    by_class: ScoresByLabel
    by_kind: ScoresByLabel
    by_machine: ScoresByLabel
    by_runtime: ScoresByLabel
    by_devices: ScoresByLabel
    set_aside: ScoresByLabel


def _by(
    entry: QuantityPrediction, kept: NDArray[np.bool_], labels: Sequence[str]
) -> ScoresByLabel:
    """Return the scores of the kept runs of each label."""
    marks = np.array(labels)
    return {
        label: _scores(entry, kept & (marks == label))
        for label in sorted(set(marks[kept].tolist()))
    }


def _scores(entry: QuantityPrediction, kept: NDArray[np.bool_]) -> Scores:
    off = (entry.log_times - entry.measured)[kept]
    width = entry.width[kept]
    error = np.abs(np.exp(off) - 1)
    labels = np.array(entry.rows.machines)[kept]
    each = [np.abs(off[labels == label]) for label in sorted(set(labels.tolist()))]
    found: Scores = {
        "n": int(kept.sum()),
        "machines": len(each),
        "factor_rows": float(np.exp(np.median(np.abs(off)))),
        "factor_machines": float(np.mean([np.exp(np.median(values)) for values in each])),
        "mape": float(error.mean()),
        "median_ape": float(np.median(error)),
        "within_10": float((error <= 0.1).mean()),
        "within_20": float((error <= 0.2).mean()),
        "within_2x": float((np.abs(off) <= np.log(2)).mean()),
        "bias": float(np.exp(off.mean())),
    }
    if width.any():
        inside = np.abs(off) <= width
        found["coverage"] = float(inside.mean())
        found["coverage_machines"] = float(
            np.mean([inside[labels == label].mean() for label in sorted(set(labels.tolist()))])
        )
        found["width"] = float(np.median(np.exp(2 * width)))
    return found
