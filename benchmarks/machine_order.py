"""How often what is expected of the stronger of two machines is slower than of the weaker, and how often runs are.

    python benchmarks/machine_order.py --evidence evidence.csv [--write]

Machines of one maker and class, one of which has at least as much of everything: every peak, bandwidth, weights that
stay on the chip. Estimates are those of the verb `predict`, with the runtime that it takes, for every pair of platform
files, four networks and batches of 1, 8 and 64; runs are those of one network in one way. Pairs in which the stronger
is slower by more than a twentieth count.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path

import numpy as np

import roofline as rl
from roofline.errors import RooflineError
from roofline.model._machine_roofs import Roofs, roofs_of
from roofline.model._network_facts import class_of
from roofline.model.expected import estimates
from roofline.spec import Platform, platform, platform_keys
from roofline.validate.evidence.evidence import Evidence, combine
from roofline.validate.evidence.machine_order import find_roofs
from roofline.validate.evidence.published import read_published
from roofline.validate.evidence.reported import read_reported
from roofline.validate.evidence.summaries import add_part

NETWORKS = ("resnet50", "mobilenet_v2", "vit_b16", "bert_base")
BATCHES = (1, 8, 64)
SLOWER = 0.05
WORST = 12

ROOT = Path(__file__).parents[1]

Pair = tuple[str, str, str, float]
"""Class, weaker machine, stronger machine, and the stronger's rate over the weaker's."""


def is_weaker(one: Roofs, other: Roofs) -> bool:
    """Return whether a machine has at most as much of everything as another."""
    less, more = one.compared(), other.compared()
    return (
        one.vendor == other.vendor
        and less.keys() <= more.keys()
        and all(less[name] <= more[name] + 1e-3 for name in less)
        and one.bandwidth <= other.bandwidth * 1.001
        and one.held <= other.held * 1.001
        and (less != more or one.bandwidth < other.bandwidth)
    )


def estimated_pairs(every: list[Platform]) -> Iterator[Pair]:
    """Yield the pairs of platforms that are in order, at each network and batch, at the datatype both run fastest."""
    groups: dict[tuple[str, str], list[Platform]] = defaultdict(list)
    for each in every:
        name = class_of(each)
        if name is not None:
            groups[name, each.vendor].append(each)
    for datatype in ("fp32", "fp16", "int8"):
        for network in NETWORKS:
            workload = rl.load(network).under(precision=datatype)
            for (machine_class, _), group in sorted(groups.items()):
                rates: dict[str, list[float]] = {}
                for each in group if len(group) > 1 else []:
                    if not each.has(datatype):
                        continue
                    try:
                        found = estimates(workload, each, datatype=datatype, batches=BATCHES)
                    except RooflineError:
                        continue
                    if found:
                        rates[each.key] = [one.fps for one in found]
                roofs = {each.key: roofs_of(each) for each in group}
                for weak, strong in permutations(rates, 2):
                    if is_weaker(roofs[weak], roofs[strong]):
                        for less, more in zip(rates[weak], rates[strong], strict=True):
                            yield machine_class, weak, strong, more / less


def measured_pairs(evidence: Evidence) -> Iterator[Pair]:
    """Yield the pairs of runs of one network in one way whose machines are in order."""
    facts = evidence.facts
    keys = zip(
        evidence.network, facts.way, facts.numbers["batch"], facts.machine_class, strict=True
    )
    cells: dict[object, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row, key in enumerate(keys):
        cells[key][facts.machine[row]].append(row)
    roofs = {machine: find_roofs(machine) for machine in set(facts.machine)}
    for machines in cells.values():
        for weak, strong in permutations(sorted(machines), 2):
            less, more = roofs[weak], roofs[strong]
            if less is not None and more is not None and is_weaker(less, more):
                slow, fast = (
                    float(np.median(evidence.fps[machines[name]])) for name in (weak, strong)
                )
                yield facts.machine_class[machines[weak][0]], weak, strong, fast / slow


def share_of(pairs: Sequence[Pair], machine_class: str) -> tuple[int, float]:
    """Return how many pairs a class has, and the share that is out of order."""
    ratios = np.asarray([pair[3] for pair in pairs if pair[0] == machine_class])
    return len(ratios), float((ratios < 1 - SLOWER).mean()) if len(ratios) else float("nan")


def name_worst(pairs: Sequence[Pair]) -> str:
    """Return the pairs of machines that are furthest out of order, in words."""
    worst = sorted((pair for pair in pairs if pair[3] < 1 - SLOWER), key=lambda pair: pair[3])
    seen = dict.fromkeys((weak, strong) for _, weak, strong, _ in worst)
    return ", ".join(f"{strong} below {weak}" for weak, strong in list(seen)[:WORST]) or "none"


def main() -> None:
    """Print the shares of estimates and of runs, and put them on the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--evidence", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    estimated = list(estimated_pairs([platform(key) for key in platform_keys()]))
    measured = list(measured_pairs(combine(read_published(options.evidence), read_reported())))
    table: list[dict[str, object]] = []
    for name in sorted({pair[0] for pair in estimated}):
        (pairs, share), (runs, slower) = share_of(estimated, name), share_of(measured, name)
        table.append(
            {"class": name, "pairs": pairs, "out of order": share, "runs": runs, "runs out of order": slower}
        )  # fmt: skip
        print(f"{name:14s} {pairs:8,d} {share:7.1%} {runs:8,d} {slower:7.1%}")
    print(f"estimates: {name_worst(estimated)}\nruns: {name_worst(measured)}")
    if options.write:
        add_part(ROOT, "order", table)


if __name__ == "__main__":
    main()
