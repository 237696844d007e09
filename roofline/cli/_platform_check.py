"""What ``platforms check`` finds in files: problems, doubts, and how their numbers are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from roofline.errors import PlatformError
from roofline.number_format import plural
from roofline.spec.audit import census, doubts
from roofline.spec.loading import document_of, examine
from roofline.spec.markdown import KINDS
from roofline.spec.names import without_mode
from roofline.spec.problem import Problem
from roofline.spec.schema import Specification


class ProblemRow(TypedDict):
    """One thing that is wrong with a file, or that is doubted."""

    file: str
    line: int | None
    path: str
    problem: str
    repair: str


@dataclass(frozen=True, slots=True)
class FileChecks:
    """Files that were checked."""

    names: Sequence[str]
    """Of the files, as the user named them."""
    strict: bool
    every: bool
    """Whether these are all the machines that are shipped."""
    problems: list[ProblemRow] = field(default_factory=list[ProblemRow])
    doubts: list[ProblemRow] = field(default_factory=list[ProblemRow])
    sound: list[Specification] = field(default_factory=list[Specification])
    """What the files say that have no problem."""

    @property
    def wrong(self) -> list[str]:
        """The files with problems."""
        return list(dict.fromkeys(row["file"] for row in self.problems))

    def document(self) -> dict[str, object]:
        """Return all that was found, under its stable names."""
        found: dict[str, object] = {
            "ok": not self.problems,
            "files": list(self.names),
            "problems": self.problems,
        }
        if not self.strict:
            return found
        counted = census(self.sound)
        return found | {
            "doubts": self.doubts,
            "machines": counted.machines,
            "sourced": counted.sourced,
            "kinds": counted.kinds,
        }

    def rows(self) -> list[ProblemRow]:
        """Return problems and doubts."""
        return [*self.problems, *self.doubts]

    def table(self) -> str:
        """Return one line per problem, doubt and sound file, for people."""
        lines = [_line(row) for row in self.rows()]
        if not self.every:
            lines += [f"{name}: OK" for name in self.names if name not in self.wrong]
        return "\n".join([*lines, *(self._census() if self.strict else ())])

    def _census(self) -> list[str]:
        counted = census(self.sound)
        shares = ", ".join(
            f"{counted.share(kind):.1%} {kind}" for kind in KINDS if kind in counted.kinds
        )
        return [
            f"{counted.sourced} of {plural(counted.machines, 'machine has', 'machines have')} a sourced peak "
            "and a sourced bandwidth.",
            f"{plural(sum(counted.kinds.values()), 'number')}: {shares}.",
            f"{plural(len(self.doubts), 'doubt')}.",
        ]


def check_files(
    names: Sequence[str], shipped: Mapping[str, Path], *, strict: bool, every: bool
) -> FileChecks:
    """Return what is wrong with platform files, and with `strict` what is doubted.

    Args:
        names: Files, or keys of machines that are shipped.
        shipped: Files of those by key.
        strict: Whether doubts are raised too.
        every: Whether the names are those of all that is shipped.
    """
    found = FileChecks(names, strict, every)
    for named in names:
        file = Path(named)
        if every or not file.exists():
            file = shipped.get(without_mode(named), file)
        try:
            specification, problems = examine(document_of(file))
        except PlatformError as error:
            specification, problems = None, (Problem((), error.message, error.repair),)
        found.problems.extend(_row(named, problem) for problem in problems)
        if specification is not None:
            found.sound.append(specification)
            if strict:
                found.doubts.extend(_row(named, problem) for problem in doubts(specification))
    return found


def _row(named: str, problem: Problem) -> ProblemRow:
    return {
        "file": named,
        "line": problem.line,
        "path": problem.where if problem.path else "",
        "problem": problem.rule,
        "repair": problem.repair,
    }


def _line(row: ProblemRow) -> str:
    if not row["path"] and row["line"] is None:
        place = "" if row["problem"].startswith(row["file"]) else f"{row['file']}: "
    else:
        line = f"{row['line']}: " if row["line"] else " "
        place = f"{row['file']}:{line}{row['path']}: " if row["path"] else f"{row['file']}:{line}"
    return " ".join(
        f"{place}{row['problem']}{'. ' + row['repair'] if row['repair'] else ''}".split()
    )
