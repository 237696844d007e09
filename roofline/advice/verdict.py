"""What a buyer wants to hear: how sure the order of the first two is, which limit ends the choice, and one sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roofline.advice.wish import Limit, Wish
from roofline.number_format import number, percent, plural

if TYPE_CHECKING:
    from roofline.advice.candidate import Candidate
    from roofline.advice.search import Advice

PARTS_OF_MACHINES = ("chip", "module")
"""What of the products that have a price runs only on a board that is bought beside it."""
_TENTH = 1.2815515655446004
"""Standard deviations between the middle of a normal law and an end of its 80 % interval."""


def probability_faster(first: Candidate, second: Candidate) -> float | None:
    """Return the probability that one machine is faster than another; None where an estimate is missing.

    Errors are taken as log-normal with the widths of the 80 % intervals, and independent: what two estimates get wrong
    of the network in common makes the order surer than this.
    """
    laws = [_law(entry) for entry in (first, second)]
    if laws[0] is None or laws[1] is None:
        return None
    (middle, spread), (others_middle, others_spread) = laws[0], laws[1]
    wide = math.hypot(spread, others_spread)
    if not wide:
        return 0.5 if middle == others_middle else float(middle > others_middle)
    return 0.5 * math.erfc((others_middle - middle) / (wide * math.sqrt(2)))


def _law(candidate: Candidate) -> tuple[float, float] | None:
    low, middle, high = candidate.low, candidate.expected, candidate.high
    if not low or not middle or not high:
        return None
    return math.log(middle), math.log(high / low) / (2 * _TENTH)


@dataclass(frozen=True, slots=True)
class Step:
    """What one limit leaves."""

    limit: Limit
    left: int
    """Candidates that are left after it and those before."""
    last: Candidate | None
    """The best of those that it took, where it left none."""


def survivors(advice: Advice) -> list[Step]:
    """Return what each limit leaves that takes any candidate, in their order.

    A candidate is taken by what is known to speak against it; those of which something is not known stay.
    """
    left = list(advice.candidates)
    steps: list[Step] = []
    for limit in Limit:
        kept = [
            entry for entry in left if all(hurdle.limit is not limit for hurdle in entry.obstacles)
        ]
        if len(kept) < len(left):
            steps.append(Step(limit, len(kept), None if kept else left[0]))
        left = kept
    return steps


def funnel(advice: Advice) -> str:
    """Return how many candidates each limit leaves, in one sentence; empty where all are left."""
    steps = survivors(advice)
    if not steps:
        return ""
    left = ", ".join(f"{step.limit.value} leaves {step.left:,}" for step in steps)
    return f"Of {plural(len(advice.candidates), 'candidate')}, {left}."


def verdict(advice: Advice, wish: Wish, networks: Sequence[str], sort: str = "") -> str:
    """Return one sentence: what to buy, how sure that is, or why nothing does.

    Args:
        advice: The machines, in the order in which they are preferred.
        wish: What was asked.
        networks: Their names.
        sort: What that order is by, where it is not the low end of the estimates.
    """
    suiting = [entry for entry in advice.candidates if entry.suits]
    if suiting:
        by = f"First by {sort}: " if sort else ""
        return by + _recommend(suiting, wish, networks) + _describe_families(advice, suiting[0])
    if not advice.candidates:
        if advice.without_memory:
            return f"No machine with the datatype holds {networks[0]}"
        return "No machine has the datatype"
    return _none(advice) + _describe_families(advice, None) + _describe_unseen(advice)


_FAMILIES = ("card", "Mac", "board")


def _describe_families(advice: Advice, first: Candidate | None) -> str:
    """Return of a decoder what does it among cards, Macs and boards beside the first, or comes nearest to it."""
    text = ""
    for family in _FAMILIES:
        mine = [
            entry
            for entry in advice.candidates
            if entry.family == family and entry.prediction.tokens is not None
        ]
        if first is not None and first.family == family:
            continue
        suiting = next((entry for entry in mine if entry.suits), None)
        if suiting is not None:
            text += f"; the {family} that does it best is {_describe_reach(suiting)}"
            continue
        known = [entry if entry.low is not None else entry.fewer for entry in mine]
        nearest = max(
            (entry for entry in known if entry is not None and entry.low is not None),
            key=lambda entry: entry.low or 0.0,
            default=None,
        )
        if nearest is not None:
            text += (
                f"; no {family} is known to do it, and nearest comes {_describe_reach(nearest)}"
            )
    return text


def _describe_reach(entry: Candidate) -> str:
    """Return a machine and the tokens that it is expected to write."""
    count = f"{entry.units:,} x " if entry.units > 1 else ""
    rates = [number(rate, 3) for rate in (entry.expected, entry.low, entry.high)]
    return f"{count}{entry.platform} ({rates[0]} tokens/s, 80 %: {rates[1]} to {rates[2]})"


def _describe_unseen(advice: Advice) -> str:
    """Return what is to be said of the machines that were not looked at, for want of a unit; empty where all were."""
    if not advice.without_unit:
        return ""
    tried = " or ".join(dict.fromkeys(entry.prediction.datatype for entry in advice.candidates))
    text = ""
    known = [key for key in advice.without_unit if key not in advice.unit_unstated]
    for keys, have, has in (
        (known, "have no unit for", "has no unit for"),
        (
            advice.unit_unstated,
            "have files that state no unit for",
            "has a file that states no unit for",
        ),
    ):
        if not keys:
            continue
        first, *others = keys
        more = f" and {plural(len(others), 'other')}" if others else ""
        text += f"; {first}{more} {have if others else has} {tried} and may do in another datatype"
    return text


def _none(advice: Advice) -> str:
    """Return why none of the candidates does."""
    steps = survivors(advice)
    last = steps[-1].last if steps else None
    if last is not None:
        limit = steps[-1].limit
        obstacles = "; ".join(hurdle.text for hurdle in last.obstacles if hurdle.limit is limit)
        before = steps[-2].left if len(steps) > 1 else len(advice.candidates)
        taken = (
            f"last {before:,} candidates, the best of them" if before > 1 else "last candidate,"
        )
        return f"No machine does: {limit.value} takes the {taken} {last.platform} ({obstacles})"
    doubtful = [entry for entry in advice.candidates if entry.answer == "unknown"]
    first = doubtful[0]
    doubts = ", ".join(hurdle.text for hurdle in first.doubts)
    return (
        f"No machine is known to do it; of {plural(len(doubtful), 'candidate')} something is not known, first "
        f"{first.platform} ({doubts})"
    )


def _recommend(suiting: Sequence[Candidate], wish: Wish, networks: Sequence[str]) -> str:
    first = suiting[0]
    unit = "tokens/s" if first.prediction.tokens is not None else "fps"
    count = f"{first.units:,} x " if first.units > 1 else ""
    # Units of cameras run apart; devices of a decoder run it together.
    apart = first.units > 1 and first.prediction.tokens is None
    each = " each" if apart else ""
    run, are = ("run", "are") if apart else ("runs", "is")
    if len(first.parts) > 1:
        times = number(first.expected, 3)
        rates = "rates of one stream" if wish.streams else "rates that are asked for"
        reached = f"{run} {' and '.join(networks)}{each} at {times} times the {rates}"
    else:
        reached = (
            f"{are} expected to run {networks[0]} at {number(first.expected, 3)} {unit}{each}"
        )
    if first.low is not None and first.high is not None and first.low < first.high:
        reached += f" (80 %: {number(first.low, 3)} to {number(first.high, 3)})"
    asked = next(part.asked for part in first.parts)
    tokens = first.prediction.tokens
    if tokens is not None and tokens.ttft_s is not None and tokens.tpot_s is not None:
        reached += f" after {number(tokens.ttft_s, 3)} s for a prompt of {tokens.context:,}"
    if asked is not None and len(first.parts) == 1:
        wanted = f"{wish.streams:,} x {number(asked)}" if wish.streams else number(asked)
        reached += f", where {wanted} {'is' if wanted == '1' else 'are'} asked for"
    takes = [] if first.total_watts is None else [f"{number(first.total_watts)} W"]
    takes += (
        [] if first.total_price is None else [f"{number(first.total_price)} USD{_bought(first)}"]
    )
    sentence = f"{count}{first.platform} in {first.prediction.datatype}, batch {first.prediction.batch}, {reached}"
    sentence += (
        f"; {'it takes' if first.units == 1 else 'they take'} {' and '.join(takes)}"
        if takes
        else ""
    )
    if first.is_borrowed:
        sentence += (
            "; no run of its runtimes is published: the estimate is of other makers' machines"
        )
    rival = next((entry for entry in suiting if entry.platform != first.platform), None)
    if rival is not None:
        chance = probability_faster(first, rival)
        # Of units that run apart, one is compared with one.
        who, whom = ("one of them", f"one {rival.platform}") if apart else ("it", rival.platform)
        if chance is not None:
            before = "" if chance >= 0.5 else _describe_order(first, rival)
            sentence += (
                f"; {who} is faster than {whom} with a probability of {percent(chance, 2)}{before}"
            )
    return sentence + _describe_others(suiting)


def _describe_order(first: Candidate, rival: Candidate) -> str:
    """Return why a machine stands before one that is likely faster; empty where the order asked for is the reason."""
    if first.low is not None and rival.low is not None and first.low > rival.low:
        return ", but its low end is higher"
    if rival.is_borrowed and not first.is_borrowed:
        return f", but no run of the runtimes of {rival.platform} is published, and such machines stand behind"
    return ""


def _bought(entry: Candidate) -> str:
    """Return what a price buys, where that is no machine that runs by itself or in a host; else nothing."""
    return f" (for the {entry.price_of} alone)" if entry.price_of in PARTS_OF_MACHINES else ""


def _describe_others(suiting: Sequence[Candidate]) -> str:
    """Return who else does it for less money or less power, where that is another."""
    prices = [(entry.total_price, entry) for entry in suiting]
    watts = [(entry.total_watts, entry) for entry in suiting]
    rivals = ""
    for noun, unit, values in (("cheapest", "USD", prices), ("most frugal", "W", watts)):
        known = [(value, entry) for value, entry in values if value is not None]
        least, entry = min(known, key=lambda pair: pair[0], default=(0.0, suiting[0]))
        if entry is not suiting[0]:
            count = f"{entry.units:,} x " if entry.units > 1 else ""
            bought = _bought(entry) if unit == "USD" else ""
            rivals += f"; the {noun} that does is {count}{entry.platform} ({number(least)} {unit}{bought})"
    return rivals
