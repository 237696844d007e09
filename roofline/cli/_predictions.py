"""How predictions are written, the same by every verb that shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypedDict

from roofline.cli._output import as_table
from roofline.number_format import number, percent
from roofline.tables import Record

if TYPE_CHECKING:
    from roofline._sweep import Omission, Sweep
    from roofline.model import Prediction


def conventions(predictions: Sequence[Prediction]) -> dict[str, str]:
    """Return the conventions that predictions were made under, for people and programs."""
    from roofline.model import models

    first = predictions[0]
    arithmetic = "one multiply-accumulate is two operations; "
    arithmetic += (
        "other arithmetic is not counted"
        if first.operations == "macs"
        else "all other arithmetic is counted too"
    )
    batch = "operations and activations grow with the batch; "
    batch += (
        "weights are read once per batch"
        if first.weights_read == "per-batch"
        else "weights are read for every item (the batch-1 intensity at every batch)"
    )
    stated = {
        "operations": arithmetic,
        "model": f"{first.model}: {models.get(first.model).summary}",
        "traffic": f"{first.traffic}: {_TRAFFIC[first.traffic]}",
        "batch": batch,
        "latency": "latency_ms is the time of the whole batch",
        "energy": "energy and fps/W are at the thermal design power",
    }
    between = list(dict.fromkeys(entry.platform for entry in predictions if entry.draw.is_known))
    if between:
        stated["energy"] += (
            f"; of {', '.join(between)}, whose power is known at rest and busy, "
            "at idle + (half + half the utilization) x (full - idle)"
        )
    if any(entry.tokens is not None for entry in predictions):
        stated |= TOKENS
    stated |= {"excluded": "pre- and post-processing are not in the time; --overhead-ms adds them"}
    return stated | _bounds(predictions)


def _bounds(predictions: Sequence[Prediction]) -> dict[str, str]:
    """Return which figures no run exceeds, and on which machines there is no such figure."""
    from roofline.model import models

    stated: dict[str, str] = {}
    decoders = [entry for entry in predictions if entry.tokens is not None]
    # Where a network is not fully counted there is no figure to say it of.
    known = [entry for entry in predictions if entry.throughput_fps is not None]
    bounds = [entry for entry in known if models.get(entry.model).upper_bound]
    if any(entry.upper_bound for entry in bounds):
        rates = ["fps"] * (len(decoders) < len(predictions)) + ["tokens/s"] * bool(decoders)
        rate = " and ".join(rates)
        which = (
            rate
            if all(entry.upper_bound for entry in known)
            else " ".join((rate, "of", _models(e for e in bounds if e.upper_bound), "rows"))
            + _boundless_places(entry for entry in bounds if not entry.upper_bound)
        )
        several = "are upper bounds, not estimates"
        what = several if len(rates) > 1 else "is an upper bound, not an estimate"
        faster = any(entry.exceeded > 1 for entry in bounds)
        save = ", save by faster algorithms as said" if faster else ""
        stated["throughput"] = f"{which} {what}; real runs are slower{save}"
    loose = list(dict.fromkeys(entry.platform for entry in bounds if not entry.upper_bound))
    if loose:
        stated["no_bound"] = (
            f"no upper bound on {', '.join(loose)}: what is charged there may stay on the chip"
            + (
                ", experts are read by expectation, each token choosing uniformly, and prompts of other requests "
                "(phase both) may be mixed into steps"
                if decoders
                else ""
            )
        )
    return stated


def _models(bounds: Iterable[Prediction]) -> str:
    """Return the names of the models that bounds are of, as the column ``model`` has them."""
    return " and ".join(dict.fromkeys(entry.model for entry in bounds))


def _boundless_places(loose: Iterable[Prediction]) -> str:
    """Return where the same models give no bound, in words that follow; empty where they always do."""
    machines = ", ".join(dict.fromkeys(entry.platform for entry in loose))
    return f", save on {machines}," if machines else ""


TOKENS = {
    "requests": "of decoders the batch is requests in flight, and throughput is in tokens, not in items",
    "ttft": "ttft_ms is the time of one prompt (phase prefill: of the batch's prompts at once), without a queue",
    "tpot": "tpot_ms is a step of all requests, the mean over the new tokens; in phase both with each other "
    "request's prompt answered once meanwhile",
    "fits": "fits is judged at context + new tokens: weights and caches, of windows the positions inside; "
    "activations are not charged",
    "serving": "queues, expert parallelism and separate machines for prompts are not modelled: see the benchmarks of "
    "vLLM and SGLang, and simulators such as Vidur and AIConfigurator",
}
"""What is stated of decoders beside."""


class NotesBelow(TypedDict):
    """What stands below a table of predictions, as `as_table` takes it."""

    remarks: Sequence[str]
    notes: Sequence[str]
    explained: Sequence[str]


def notes_below(predictions: Sequence[Prediction], remarks: Sequence[str] = ()) -> NotesBelow:
    """Return what stands below a table of predictions.

    Args:
        predictions: What the table shows.
        remarks: What is to be said of these predictions in particular.

    Returns:
        The remarks, what kind of figure the throughput is, and what estimates are of; then the conventions, and the
        command that measures the first prediction.
    """
    if not predictions:
        return {"remarks": remarks, "notes": [], "explained": []}
    stated = conventions(predictions)
    kind = stated.pop("throughput", "")
    first = predictions[0]
    command = f"roofline validate {first.network} -p {first.platform} -d {first.datatype}"
    command += f" -b {first.batch}" if first.batch != 1 else ""
    explained = [*stated.values(), f"to measure the first on that machine: {command}"]
    # An estimate is of one runtime: no remark, however many there are, may hide of which.
    machines: dict[str, list[str]] = {}
    for entry in predictions:
        if entry.estimate_of:
            machines.setdefault(entry.estimate_of, []).append(entry.platform)
    estimates = [
        f"expected on {', '.join(dict.fromkeys(names))}: {what}"
        for what, names in machines.items()
    ]
    repeats = {f"expected on {entry.platform}: {entry.estimate_of}" for entry in predictions}
    return {
        "remarks": [remark for remark in remarks if remark not in repeats],
        "notes": [kind] * bool(kind) + estimates,
        "explained": explained,
    }


_TRAFFIC = {
    "weights": "weights only",
    "weights_io": "weights, network inputs and outputs",
    "fused": "weights, inputs and outputs of every fused layer",
    "unfused": "weights, inputs and outputs of every ONNX node",
    "resident": "as fused, but what a memory level holds is not charged to the level outside it",
}


def tables_of(found: Sweep, remarks: Sequence[str] = ()) -> str:
    """Return predictions as a table for people, those of decoders as one behind it; remarks stand below."""
    decoders = {entry.network for entry in found.predictions if entry.tokens is not None}
    spoken = token_cells_of(found.predictions)
    spoken += omission_cells(
        [gone for gone in found.skipped if gone.network in decoders], tokens=True
    )
    shown = cells_of([entry for entry in found.predictions if entry.tokens is None])
    shown += omission_cells([gone for gone in found.skipped if gone.network not in decoders])
    tables = [as_table(shown)] if spoken and shown else []
    return "\n".join(
        [*tables, as_table(spoken or shown, **notes_below(found.predictions, remarks))]
    )


def cells_of(predictions: Sequence[Prediction]) -> list[Record]:
    """Return one row of a table for people per prediction."""
    pruned = any(prediction.variant != "dense" for prediction in predictions)
    expected = any(prediction.interval_fps is not None for prediction in predictions)
    return [_cells(prediction, pruned=pruned, expected=expected) for prediction in predictions]


def token_cells_of(predictions: Sequence[Prediction]) -> list[Record]:
    """Return one row of a table for people per prediction of a decoder."""
    contexts = {entry.tokens.context for entry in predictions if entry.tokens is not None}
    return [
        {
            "network": entry.network,
            "platform": entry.platform
            if tokens.devices == 1
            else f"{tokens.devices} x {entry.platform}",
            "datatype": entry.datatype,
            "batch": entry.batch,
            "model": entry.model,
            "phase": tokens.phase,
            **({"context": tokens.context} if len(contexts) > 1 else {}),
            "first token ms": number(row["ttft_ms"]),
            "per token ms": number(row["tpot_ms"]),
            "tokens/s": number(tokens.tokens_per_s) or "unknown",
            "80% of runs, tokens/s": (ends := entry.intervals.get("tokens_per_s"))
            and " … ".join(str(number(end)) for end in ends),
            "per user": number(tokens.tokens_per_s_per_user),
            "prompt, tokens": "-bound, ".join(
                bound for bound in (tokens.prefill_bound, tokens.decode_bound) if bound
            )
            + "-bound",
            "fits": entry.fits,
            "GB": number(entry.required_bytes / 1e9),
            "cache kB/token": number(tokens.kv_bytes_per_token / 1e3),
            "most requests": tokens.max_batch,
            "longest context": tokens.max_context,
            "least devices": tokens.least_devices,
        }
        for entry in predictions
        if (tokens := entry.tokens) is not None
        for row in (entry.record(),)
    ]


def omission_cells(skipped: Sequence[Omission], *, tokens: bool = False) -> list[Record]:
    """Return one row per combination that was left out, for the end of a table of others; a note says why."""
    word = "prompt, tokens" if tokens else "bound"
    return [
        {
            "network": gone.network,
            "platform": gone.platform,
            "datatype": gone.datatype,
            "batch": gone.batch,
            "model": gone.model,
            word: "left out",
        }
        for gone in skipped
    ]


def _cells(prediction: Prediction, *, pruned: bool, expected: bool) -> Record:
    row = prediction.record()
    unit = "" if prediction.unit == prediction.datatype else f" on {prediction.unit}"
    cells: Record = {
        "network": prediction.network,
        "platform": prediction.platform,
        "datatype": f"{prediction.datatype}{unit}",
        "batch": prediction.batch,
        "fps": number(prediction.throughput_fps) or "unknown",
        "latency ms": number(row["latency_ms"]) or "unknown",
        "bound": row["bound"] or "unknown",
        "OP/B": number(prediction.intensity),
        "ridge OP/B": number(prediction.ridge),
        "of peak": None if row["utilization"] is None else percent(row["utilization"]),
        "fits": prediction.fits,
        "mJ/frame": number(row["energy_mj"]),
        "fps/W": number(row["fps_per_w"]),
    }
    if pruned:
        cells = {"network": cells.pop("network"), "pruning": prediction.variant, **cells}
    if expected:
        interval = prediction.interval_fps
        cells["80% of runs, fps"] = interval and " … ".join(str(number(end)) for end in interval)
        cells = {"network": cells.pop("network"), "model": prediction.model, **cells}
    return cells
