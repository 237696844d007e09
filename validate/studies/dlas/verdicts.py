"""DLAS's thirteen observations, decided from measured runs: the cases of the rules make the verdicts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from roofline.validate.analysis.configurations import Configuration
from roofline.validate.studies.dlas.rules import OPEN_BECAUSE, RULES, Case
from roofline.validate.studies.dlas.times import Clock, span_of
from roofline.workloads.published import table

HOLDS, MOSTLY, CONTRADICTED, UNDECIDED, OPEN = (
    "reproduced here",
    "reproduced here in most cases",
    "contradicted here",
    "undecided",
    "not testable here",
)
"""The verdicts."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One observation, and what the runs say of it."""

    observation: str
    claim: str
    rule: str
    """What counts as a case, and when it bears the observation out; why there is none, where there cannot be."""
    cases: tuple[Case, ...]
    remark: str = ""
    """What of the observation the cases do not speak to."""

    def count(self, holds: bool | None) -> int:
        """Return how many cases have an outcome."""
        return sum(case.holds is holds for case in self.cases)

    @property
    def verdict(self) -> str:
        """More than half of the cases must bear the observation out, however the open ones would fall."""
        number, yes, unclear = len(self.cases), self.count(True), self.count(None)
        if not number:
            return OPEN
        if yes == number:
            return HOLDS
        if 2 * yes > number:
            return MOSTLY
        return CONTRADICTED if 2 * (yes + unclear) <= number else UNDECIDED

    @property
    def without_rule(self) -> bool:
        """Whether no run of a campaign could decide it."""
        return self.observation in OPEN_BECAUSE

    @property
    def counts(self) -> str:
        """The outcomes in words: ``3 for, 1 against, 2 undecided``."""
        named = (("for", True), ("against", False), ("undecided", None))
        parts = [f"{self.count(holds)} {name}" for name, holds in named if self.count(holds)]
        return ", ".join(parts)


def verdicts(found: Iterable[Configuration], clock: Clock = span_of) -> tuple[Verdict, ...]:
    """Decide every observation from runs with one thread.

    Args:
        found: Configurations of one machine.
        clock: What the time of a configuration is: its interval, if not told otherwise.
    """
    single = [entry for entry in found if entry.threads == 1]
    decided: list[Verdict] = []
    for row in table("dlas_observations"):
        name = row["observation"]
        if name in OPEN_BECAUSE:
            decided.append(Verdict(name, row["claim"], OPEN_BECAUSE[name], ()))
            continue
        rule = RULES[name]
        cases, remark = rule.decide(single, clock)
        decided.append(Verdict(name, row["claim"], rule.words, tuple(cases), remark))
    return tuple(decided)
