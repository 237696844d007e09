"""How many mutants of the code that makes figures are noticed by its tests.

Mutants are those of Cosmic Ray (the extra ``mutation``): a comparison turned round, a number moved by one,
an operator replaced. A sample of them, drawn by seed, is put one by one into a copy of the tree, and the tests that run
what it changes are run until one fails. Usage::

    python benchmarks/mutation.py draw --sample 300 --seed 11   # writes benchmarks/mutants.csv
    python benchmarks/mutation.py                               # goes on where it ended; 1/2, 2/2 side by side
    python benchmarks/mutation.py again                         # those that survived, against today's tests
    python benchmarks/mutation.py check                         # the tests that killed them pass without them
    python -P benchmarks/mutation_report.py
"""

from __future__ import annotations

import argparse
import csv
import functools
import importlib
import itertools
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from mutant_tests import Copy, Outcome, PartRun, copy_tree, run_tests, watch_part
from mutants import Mutant, locate, note, read_table, sample_mutants, tests_by_part, write_table

EQUIVALENT = Path(__file__).with_name("equivalent_mutants.csv")

_FIRST = 40
"""Tests that are tried before all others, the quickest first: most mutants need no more."""

_MOST_S = 15.0
"""Seconds that the tests tried beside them take in all without a mutant: of lines that all tests run not all are."""

_LEAST_S = 20.0
_TIMES = 4.0
"""Limit of processor time: this, and so many times what the tests take under coverage."""

_INTERRUPTED_S = 30.0
"""A test that takes longer may have failed for being stopped or kept waiting: it must fail twice."""


def notices(mutant: Mutant, runs: PartRun, copy: Copy) -> str:
    """Return the test that fails with a mutant, or what else ends the run; empty if all pass."""
    tests = runs.find_nearest(mutant.path, mutant.line)
    spent = itertools.accumulate(runs.seconds[test] for test in tests)
    more = [test for test, seconds in zip(tests, spent, strict=True) if seconds < _MOST_S]
    with use_mutation(
        copy.folder / mutant.path, get_operator(mutant.operator)(), mutant.occurrence
    ):
        for some in (tests[:_FIRST], more[_FIRST:]):
            if some and (failed := _failure(some, runs, copy)):
                return failed
    return ""


def _failure(tests: list[str], runs: PartRun, copy: Copy) -> str:
    most_s = _LEAST_S + _TIMES * sum(runs.seconds[test] for test in tests)
    begin = time.monotonic()
    found = run_tests(tests, copy, most_s)
    if found.failed in runs.seconds and time.monotonic() - begin > _INTERRUPTED_S:
        again: Outcome = run_tests([found.failed], copy, most_s)
        if not again.failed:
            left = tests[tests.index(found.failed) + 1 :]
            return _failure(left, runs, copy) if left else ""
    return found.failed


def run(chosen: list[Mutant]) -> None:
    """Try mutants one by one, and note each in the table."""
    for slow_to_load in ("numpy", "onnx", "pandas", "hypothesis"):
        importlib.import_module(slow_to_load)
    with tempfile.TemporaryDirectory() as name:
        copy = copy_tree(Path(name))

        @functools.cache
        def part(tests: str) -> PartRun:
            return watch_part(tests, copy)

        for number, mutant in enumerate(chosen):
            here = locate(mutant, copy.folder)
            if here is None:
                sys.stdout.write(f"gone: {mutant.name}\n")
                continue
            sys.stdout.write(f"{number + 1} of {len(chosen)}: {here.path}:{here.line}\n")
            sys.stdout.flush()
            begin = time.monotonic()
            noticed = notices(here, part(tests_by_part()[mutant.part]), copy)
            at_first = mutant.at_first or ("killed" if noticed else "survived")
            note(replace(mutant, at_first=at_first, noticed_by=noticed))
            sys.stdout.write(
                f"{noticed or 'ALIVE'} ({time.monotonic() - begin:.1f} s) "
                f"{here.path}:{here.line} {mutant.operator} [{mutant.before}] -> [{mutant.after}]\n"
            )
            sys.stdout.flush()


def check(killers: list[str]) -> None:
    """Run the tests that killed mutants without any: one that fails told nothing."""
    with tempfile.TemporaryDirectory() as name:
        found = run_tests(killers, copy_tree(Path(name)), 3600)
    sys.stdout.write(f"{len(killers)} tests, {found.failed or 'none'} fails without a mutant\n")
    raise SystemExit(1 if found.failed else 0)


def main() -> None:
    """Draw mutants, try them, or run their tests without them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add = parser.add_argument
    add("what", nargs="?", choices=["draw", "try", "again", "check"], default="try")
    add("--sample", type=int, default=300, help="mutants to draw")
    add("--seed", type=int, default=11)
    add("--share", default="1/1", help="of what is left: 1/2 and 2/2 run side by side")
    add("--only", nargs="*", default=[""], help="mutants of modules whose path starts so")
    given = parser.parse_args()
    if given.what == "draw":
        write_table(sample_mutants(given.sample, given.seed))
        return
    if given.what == "check":
        check(
            list(
                dict.fromkeys(
                    mutant.noticed_by for mutant in read_table() if "::" in mutant.noticed_by
                )
            )
        )
    which, of = map(int, given.share.split("/"))
    shared = [mutant for mutant in read_table() if mutant.path.startswith(tuple(given.only))][
        which - 1 :: of
    ]
    again = given.what == "again"
    left = [
        mutant for mutant in shared if not mutant.noticed_by and bool(mutant.at_first) == again
    ]
    with EQUIVALENT.open(newline="") as file:
        equivalent = {row["mutant"] for row in csv.DictReader(file)}
    run([mutant for mutant in left if mutant.name not in equivalent])


if __name__ == "__main__":
    main()
