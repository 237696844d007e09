"""Gathers what the page over all machines shows: a user's networks first, then those that are shipped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from roofline.advice.wish import USD_PER_KWH, YEARS
from roofline.cli._decoding import split_decoders
from roofline.cli._options import load_models
from roofline.cli._output import say
from roofline.report.explore import Subject, explore
from roofline.spec import platform, platform_keys
from roofline.workloads import decoders, networks

if TYPE_CHECKING:
    from roofline.progress import Report

EXPLORE = "explore"
"""What a user writes for the page over all machines instead of a file."""

_FIRST = "resnet50"


def explore_page(
    models: Sequence[str], machines: Sequence[str], title: str, report: Report
) -> str:
    """Return the page over all machines, with a user's networks beside those that are shipped.

    Args:
        models: Paths and names.
        machines: Keys and paths of the machines; without any, all that are shipped.
        title: The page's; by default what is on it.
        report: Is told what is done.

    Raises:
        RooflineError: A network cannot be read, or a dimension of it has no size.
    """
    # A misspelt machine is told before anything is counted.
    platforms = [platform(key) for key in dict.fromkeys(machines or platform_keys())]
    names = [*models, *(name for name in (*networks, *decoders) if name not in models)]
    plain, decoding = split_decoders(names, None, bound=False)
    own, _ = split_decoders(models, None, bound=False)
    workloads = load_models(plain)
    for workload in workloads:
        if workload.unknown_layers:
            say(f"roofline: {workload.name} is not fully counted, so it has no bound on the page")
    titles = {key: networks.get(key).title for key in networks}
    titles |= {key: decoders.get(key).title for key in decoders}
    subjects = [
        Subject(found.name, titles.get(found.name, found.name), found)
        for found in (*workloads, *decoding)
    ]
    # The first of the loaded are the user's, in the user's order.
    first = [workload.name for workload in workloads[: len(own)]] or [_FIRST]
    return explore(
        subjects, platforms, title=title, first=first, years=YEARS, usd_per_kwh=USD_PER_KWH, report=report
    )  # fmt: skip
