"""How ``advise`` writes its answer: a sentence, what any machine would need, and the machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roofline.cli._output import as_table
from roofline.cli._predictions import conventions
from roofline.decoding.request import Spread
from roofline.number_format import number, plural
from roofline.tables import Record
from roofline.units import scale

if TYPE_CHECKING:
    from roofline.advice import Advice, Candidate, Wish
    from roofline.workload import Workload


@dataclass(frozen=True, slots=True)
class Answer:
    """What machines were found."""

    advice: Advice
    wish: Wish
    """What was asked."""
    names: Sequence[str]
    """Of the networks."""
    workloads: Sequence[Workload]
    """The networks; none for a decoder."""
    shown: Sequence[Candidate]
    """The machines to write, in order."""
    sort: str = ""
    """What they are ordered by, where a user asked for another order."""

    def rows(self) -> list[Record]:
        """Return the machines with exact values."""
        return [candidate.record() for candidate in self.shown]

    def document(self) -> dict[str, object]:
        """Return the whole answer under its stable names."""
        from roofline.advice import probability_faster, survivors, verdict

        advice, wish, names = self.advice, self.wish, self.names
        first = [entry for entry in advice.candidates if entry.suits][:2]
        return {
            "conventions": _conventions(advice, wish, self.sort),
            "network": names[0] if len(names) == 1 else None,
            "networks": list(names),
            "wish": {
                "min_fps": wish.fps,
                "rates": dict(wish.rates),
                "streams": wish.streams,
                "max_watts": wish.watts,
                "max_price": wish.price,
                "max_latency_ms": scale(wish.latency, 1e3),
                "max_ttft_ms": scale(wish.ttft, 1e3),
                "max_tpot_ms": scale(wish.tpot, 1e3),
                "min_memory_b": wish.capacity,
                "efficiency": wish.efficiency,
                "lifetime_years": wish.years,
                "usd_per_kwh": wish.usd_per_kwh,
            },
            "verdict": verdict(advice, wish, names, self.sort),
            "probability_first_faster": probability_faster(*first) if len(first) == 2 else None,
            "limits": [
                {
                    "limit": step.limit.value,
                    "left": step.left,
                    "last": step.last and step.last.platform,
                }
                for step in survivors(advice)
            ],
            "needs": [need.record() for need in advice.needs],
            "need_curve": _curves(advice, wish, self.workloads),
            "machines": self.rows(),
            "without_unit": list(advice.without_unit),
            "unit_unstated": list(advice.unit_unstated),
            "without_memory": list(advice.without_memory),
            "without_basis": list(advice.without_basis),
        }

    def table(self) -> str:
        """Return the page for people."""
        from roofline.advice.verdict import funnel, verdict
        from roofline.model._request import format_of_decoders
        from roofline.precision import precision

        advice, wish, shown = self.advice, self.wish, self.shown
        stated = _conventions(advice, wish, self.sort)
        # Rows of a bound only say so themselves.
        rate = stated.pop("throughput", None)
        notes = [rate] if rate and wish.efficiency is not None else []
        if len(shown) < len(advice.candidates):
            more = plural(len(advice.candidates) - len(shown), "more row")
            notes.insert(0, f"{more} behind these: --top 0")
        notes += remark_on_parts(wish, shown)
        left_out = [f"{what}: {_names(keys)}" for what, keys in left_out_of(advice) if keys]
        notes += ["; ".join(left_out)] if left_out else []
        notes += dict.fromkeys(
            rate
            for entry in shown
            for part in entry.parts
            for work in self.workloads
            if work.name == part.prediction.network
            and (rate := format_of_decoders(work, precision(part.prediction.datatype)))
        )
        counted = funnel(advice)
        lines = [
            f"{verdict(advice, wish, self.names, self.sort)}.",
            *([counted] if counted else []),
            *_rate_needs(advice, wish),
            "",
        ]
        rows = [_cells(entry) for entry in shown]
        return "\n".join([*lines, as_table(rows, notes=notes, explained=list(stated.values()))])


def left_out_of(advice: Advice) -> Sequence[tuple[str, Sequence[str]]]:
    """Return why machines were not looked at, each reason with their keys."""
    known = [key for key in advice.without_unit if key not in advice.unit_unstated]
    return (
        ("without such a unit", known),
        ("with files that do not say whether they have such a unit", advice.unit_unstated),
        ("without the memory for it", advice.without_memory),
        ("without a basis of the model", advice.without_basis),
    )


def remark_on_parts(wish: Wish, shown: Sequence[Candidate]) -> list[str]:
    """Return a remark that names the machines within a limit of price whose price is a chip's or a module's."""
    from roofline.advice.verdict import PARTS_OF_MACHINES

    parts = dict.fromkeys(
        f"{entry.platform} ({entry.price_of})"
        for entry in shown
        if wish.price is not None and entry.price_of in PARTS_OF_MACHINES and entry.answer != "no"
    )
    if not parts:
        return []
    return [f"the price is of the part alone, a board for it comes on top: {_names([*parts])}"]


def _names(keys: Sequence[str], most: int = 12) -> str:
    more = len(keys) - most
    return ", ".join(keys[:most]) + (f" and {more} more" if more > 0 else "")


def _conventions(advice: Advice, wish: Wish, sort: str) -> dict[str, str]:
    predictions = [candidate.prediction for candidate in advice.candidates]
    stated = conventions(predictions) if predictions else {}
    if wish.efficiency is not None:
        stated["throughput"] = f"fps is {wish.efficiency:g} of the bound, as asked"
    stated["rank"] = (
        f"machines that do come first, in the order of {sort}"
        if sort
        else "machines are ranked by the low end of the 80 % interval, of those with the same answer the ones of whose "
        "runtimes no run is published behind the others"
    )
    stated["price"] = (
        "USD: of what stands beside it in parentheses (JSON and CSV: price_of): the bare chip; a module for a carrier; "
        "a card or stick for a host; a board that runs by itself; or a whole system"
    )
    stated["cost"] = (
        f"USD/M: for a million items at the rate that is asked for, price over {wish.years:g} years and the thermal "
        f"design power at {wish.usd_per_kwh:g} USD/kWh throughout"
    )
    if any(entry.tokens is not None and entry.tokens.tpot_s is not None for entry in predictions):
        stated["tokens"] = (
            "tokens/s are those that all requests write, each once it has its first: requests over the time per output "
            "token; the wait for the first stands beside"
        )
    stated["front"] = (
        "*: none here is at least as fast, frugal and cheap, and better in one of them"
    )
    stated["faster"] = "probabilities take the errors of two estimates as independent"
    return stated


def _curves(advice: Advice, wish: Wish, workloads: Sequence[Workload]) -> list[Record]:
    """Return the least peak at each bandwidth with which the layers of one network reach the rate."""
    from roofline.advice import curve
    from roofline.model import at_precision

    if len(workloads) != 1:
        return []
    return [
        {
            "network": need.network,
            "datatype": need.datatype,
            "batch": need.batch,
            "bandwidth_b_s": bandwidth,
            "peak_op_s": peak,
        }
        for need in advice.needs
        for bandwidth, peak in curve(
            at_precision(workloads[0], need.datatype),
            need.batch,
            (wish.streams or 1) * (wish.rate(need.network) or 0.0) / (wish.efficiency or 1.0),
        )
    ]


def _rate_needs(advice: Advice, wish: Wish) -> list[str]:
    unit = "tokens/s" if any(entry.prediction.tokens for entry in advice.candidates) else "fps"
    return [
        f"{need.network} at {number((wish.streams or 1) * (wish.rate(need.network) or 0.0))} {unit} in "
        f"{need.datatype}, batch {need.batch}, needs at least {number(need.peak / 1e12)} TOP/s, "
        f"{number(need.bandwidth / 1e9)} GB/s and {number(need.capacity / 1e6)} MB"
        for need in advice.needs
    ]


def _cells(entry: Candidate) -> Record:
    row = entry.record()
    shared = len(entry.parts) > 1
    rate = "x asked" if shared else "tokens/s" if entry.prediction.tokens is not None else "fps"
    remarks = [*row["obstacles"], *row["doubts"], *([str(entry.remedy)] if entry.remedy else [])]
    times = f"{entry.units:,} x " if entry.units > 1 else ""
    tokens = entry.prediction.tokens
    if tokens is not None and tokens.devices > 1 and tokens.spread == Spread.SERIES:
        remarks.append("layers in series")
    return {
        "platform": row["platform"] + ("*" if entry.on_front else ""),
        "datatype": row["datatype"],
        "batch": row["batch"],
        "answer": row["answer"],
        rate: number(entry.expected) or "unknown",
        "low end": number(entry.low) or "unknown",
        "bound only": number(entry.bound) if entry.low is None else None,
        **({} if tokens is None else {"first token s": number(tokens.ttft_s)}),
        "bound": row["bound"],
        "units": row["units"],
        "W": number(row["total_w"]),
        "USD": f"{number(row['total_usd'])} ({times}{row['price_of']})"
        if row["price_of"]
        else None,
        "USD/M": number(row["usd_per_million"], 3),
        f"{rate}/W": number(entry.expected / watts)
        if (watts := row["total_w"]) and entry.expected and not shared
        else None,
        "remarks": "; ".join(remarks),
    }
