"""Mutants of Cosmic Ray: where there are any, a sample of them, and the table of what came of each.

The table ``mutants.csv`` holds a sample in the order in which it was drawn, so that its first rows are a sample, too,
and a run goes on where the last one ended. A mutant is found again by what it makes of which line.
"""

from __future__ import annotations

import ast
import csv
import fcntl
import functools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parents[1]
PARTS = Path(__file__).with_name("mutated_parts.csv")
"""The tests of each part, which is named by the start of its modules' paths."""

TABLE = Path(__file__).with_name("mutants.csv")


@functools.cache
def tests_by_part() -> dict[str, str]:
    """Return the tests of each part."""
    with PARTS.open(newline="") as file:
        return {row["part"]: row["tests"] for row in csv.DictReader(file)}


@dataclass(frozen=True)
class Mutant:
    """One change of one module, and what came of it."""

    path: str
    operator: str
    occurrence: int
    line: int
    before: str = ""
    """The first line that changes, without its indent."""
    after: str = ""
    at_first: str = ""
    """``killed`` or ``survived`` when it was tried for the first time; empty before that."""
    noticed_by: str = ""
    """The test that kills it; of one that survives, none."""

    @property
    def name(self) -> str:
        """What it is called in ``equivalent_mutants.csv``."""
        return f"{self.path} {self.operator} {self.occurrence}"

    @property
    def part(self) -> str:
        """The start of its path that has tests of its own."""
        return next(part for part in tests_by_part() if self.path.startswith(part))


def mutants(path: Path) -> list[list[Mutant]]:
    """Return the mutants of each place of a module, but for places that no run reads."""
    hidden = unobserved_places(path.read_text())
    operators = {
        name: get_operator(name)()
        for name in operator_names()
        if not get_operator(name).arguments()
    }
    counts: Counter[str] = Counter()
    places: dict[tuple[int, int], list[Mutant]] = {}
    for node in ast_nodes(get_ast_from_path(path)):
        for name, operator in operators.items():
            for (line, column), _ in operator.mutation_positions(node):
                occurrence, counts[name] = counts[name], counts[name] + 1
                if not any(start <= (line, column) < end for start, end in hidden):
                    where = path.relative_to(ROOT).as_posix()
                    mutant = Mutant(where, name, occurrence, line)
                    places.setdefault((line, column), []).append(mutant)
    return list(places.values())


def unobserved_places(code: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return where a module says what no run reads: annotations, type aliases, decorators, imports for types."""
    found: list[ast.AST] = []
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.FunctionDef(decorator_list=decorators, returns=returns):
                found += [*decorators, *([returns] if returns else [])]
            case ast.ClassDef(decorator_list=decorators):
                found += decorators
            case (
                ast.arg(annotation=ast.AST() as annotation)
                | ast.AnnAssign(annotation=ast.AST() as annotation)
            ):
                found.append(annotation)
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.BinOp(op=ast.BitOr()) | ast.Subscript() as value,
            ):
                if name[0].isupper() and not name.isupper():
                    found.append(value)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                found.append(node)
            case _:
                pass
    return [
        # A decorator begins at its sign.
        ((node.lineno, node.col_offset - 1), (node.end_lineno or 0, node.end_col_offset or 0))
        for node in found
        if isinstance(node, (ast.expr, ast.stmt))
    ]


def sample_mutants(number: int, seed: int) -> list[Mutant]:
    """Return mutants drawn by chance, each of another place: of every part as many as its share of all lines."""
    parts = {part: sorted((ROOT / part).glob("**/*.py")) for part in tests_by_part()}
    lines = {
        part: sum(len(path.read_text().splitlines()) for path in paths)
        for part, paths in parts.items()
    }
    dice = random.Random(seed)
    drawn: list[Mutant] = []
    for part, paths in parts.items():
        places = [place for path in paths for place in mutants(path)]
        few = min(len(places), round(number * lines[part] / sum(lines.values())))
        drawn += [dice.choice(place) for place in dice.sample(places, few)]
    # Any first part of the list is a sample, too.
    dice.shuffle(drawn)
    changed = [with_change(mutant) for mutant in drawn]
    return [mutant for mutant in changed if mutant.after]


def with_change(mutant: Mutant, root: Path = ROOT) -> Mutant:
    """Return a mutant with the first line that it changes, before and after; empty if it makes no other program."""
    before = (root / mutant.path).read_text()
    try:
        after = mutate_code(before, get_operator(mutant.operator)(), mutant.occurrence) or before
        ast.parse(after)
    except (AttributeError, SyntaxError):
        # Cosmic Ray fails on exceptions named with their module, and takes the star of parameters for a product.
        after = before
    for old, new in zip(before.splitlines(), after.splitlines(), strict=False):
        if old != new:
            return replace(mutant, before=old.strip(), after=new.strip())
    return replace(mutant, before="", after="")


def locate(mutant: Mutant, root: Path = ROOT) -> Mutant | None:
    """Return a mutant of the table as it stands in the module now; None if the module has its line no longer."""
    if not (root / mutant.path).is_file():
        return None
    operator = get_operator(mutant.operator)()
    candidates = [
        replace(mutant, occurrence=occurrence, line=line)
        for occurrence, line in enumerate(
            line
            for node in ast_nodes(get_ast_from_path(root / mutant.path))
            for (line, _), _ in operator.mutation_positions(node)
        )
    ]
    for candidate in sorted(
        candidates, key=lambda other: abs(other.occurrence - mutant.occurrence)
    ):
        found = with_change(candidate, root)
        if (found.before, found.after) == (mutant.before, mutant.after):
            return candidate
    return None


def read_table(path: Path = TABLE) -> list[Mutant]:
    """Return the mutants of a table in its order."""
    with path.open(newline="") as file:
        rows = [dict(row) for row in csv.DictReader(file)]
    return [
        Mutant(
            path=row["path"], operator=row["operator"], occurrence=int(row["occurrence"]), line=int(row["line"]),
            before=row["before"], after=row["after"], at_first=row["at_first"], noticed_by=row["noticed_by"],
        )
        for row in rows
    ]  # fmt: skip


def write_table(table: Sequence[Mutant], path: Path = TABLE) -> None:
    """Write mutants in their order."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(
            file, [field.name for field in fields(Mutant)], lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(asdict(mutant) for mutant in table)


def note(mutant: Mutant, path: Path = TABLE) -> None:
    """Put what came of a mutant into the table, which runs beside this one write, too."""
    with path.open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        key = (mutant.path, mutant.operator, mutant.before, mutant.after, mutant.occurrence)
        write_table(
            [
                mutant
                if (row.path, row.operator, row.before, row.after, row.occurrence) == key
                else row
                for row in read_table(path)
            ],
            path,
        )
