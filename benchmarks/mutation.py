"""How many mutants of the code that makes figures are noticed by its tests.

Mutants are those of Cosmic Ray (the extra ``mutation``): a comparison turned round, a number moved by one,
an operator replaced. A sample of them, drawn by seed, is put one by one into a copy of the tree, and the tests of the
mutated module run until one fails: at first those that run the mutated line. Usage::

    python -P benchmarks/mutation.py --sample 300 --seed 1 --share 1/2 --into mutants-1.jsonl
    python -P benchmarks/mutation_report.py mutants-*.jsonl
"""

from __future__ import annotations

import argparse
import ast
import compileall
import contextlib
import csv
import functools
import importlib
import json
import os
import py_compile
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import mutate_code, use_mutation
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parents[1]
PARTS = Path(__file__).with_name("mutated_parts.csv")
"""The tests of each part, which is named by the start of its modules' paths."""

_FIRST = 40
"""Tests that run a mutated line and are tried before all others, the quickest first: most mutants need no more."""

_IDLE = 10
"""Times the limit of processor time after which a mutant that waits is ended."""


@functools.cache
def tests_by_part() -> dict[str, str]:
    """Return the tests of each part."""
    with PARTS.open(newline="") as file:
        return {row["part"]: row["tests"] for row in csv.DictReader(file)}


@dataclass(frozen=True)
class Mutant:
    """One change of one module."""

    path: str
    operator: str
    occurrence: int
    line: int
    column: int

    @property
    def name(self) -> str:
        """What it is called in ``equivalent_mutants.csv``: unchanged by edits elsewhere in the module."""
        return f"{self.path} {self.operator} {self.occurrence}"

    @property
    def tests(self) -> str:
        """Those of the part it is in."""
        return next(tests for part, tests in tests_by_part().items() if self.path.startswith(part))


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
                    mutant = Mutant(where, name, occurrence, line, column)
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
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.BinOp(op=ast.BitOr()) as value):
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
    parts: dict[str, list[Path]] = {}
    for path in sorted([*ROOT.glob("roofline/**/*.py"), *ROOT.glob("validate/**/*.py")]):
        where = path.relative_to(ROOT).as_posix()
        if where.startswith(tuple(tests_by_part())):
            parts.setdefault("/".join(where.split("/")[:2]), []).append(path)
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
    return drawn


def copy_tree(folder: Path) -> Path:
    """Copy the tree as it is, and return the folder from which Python imports the copy."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    package = folder / "importable" / "roofline"
    package.mkdir(parents=True)
    for entry in (folder / "roofline").iterdir():
        (package / entry.name).symlink_to(entry)
    for part in ("platforms", "workloads", "validate"):
        (package / part).symlink_to(folder / part)
    # Compiled files that are told by content: a mutant of the same second is not taken for what it replaces.
    compileall.compile_dir(
        folder, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH
    )
    return package.parent


@dataclass(frozen=True)
class Runs:
    """What the tests of a part run when no mutant is there."""

    lines: Mapping[str, Mapping[int, Sequence[str]]]
    """The tests that run each line of each module; a line that is run on import, or in other processes, has none."""
    seconds: Mapping[str, float]
    """Of each test."""

    def of(self, mutant: Mutant, statement: range) -> list[str]:
        """Return the tests that run what a mutant changes, the quickest first."""
        lines = self.lines.get(mutant.path, {})
        found = {test for line in statement for test in lines.get(line, ())}
        return sorted(found, key=lambda test: self.seconds[test])


class _Watch:
    """Plugin of pytest: tells coverage which test runs, and notes how long each takes."""

    def __init__(self, switch: Callable[[str], object]) -> None:
        self.seconds: dict[str, float] = {}
        self._switch = switch

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._switch(item.nodeid)
        begin = time.perf_counter()
        yield
        self.seconds[item.nodeid] = time.perf_counter() - begin
        self._switch("")


class _ChosenTests:
    """Plugin of pytest: runs these tests alone, in this order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._places = {test: place for place, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        kept = [item for item in items if item.nodeid in self._places]
        items[:] = sorted(kept, key=lambda item: self._places[item.nodeid])


def statements(code: str) -> dict[int, range]:
    """Return for each line the lines of the innermost statement it is in; of one with a body, its head alone."""
    found: dict[int, range] = {}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, (ast.stmt, ast.match_case, ast.ExceptHandler)):
            body = getattr(node, "body", None)
            first = node.pattern.lineno if isinstance(node, ast.match_case) else node.lineno
            last = body[0].lineno - 1 if body else getattr(node, "end_lineno", first)
            lines = range(first, max(first, last) + 1)
            # A node is met after those it is in.
            found |= dict.fromkeys(lines, lines)
    return found


def watch_tests(tests: str, folder: Path, importable: Path) -> Runs:
    """Run the tests of a part without any mutant, and return what each runs.

    Raises:
        SystemExit: They fail, so that they would tell nothing.
    """
    result = folder / "runs.json"
    child = os.fork()
    if child == 0:
        try:
            _watch(tests.split(), folder, importable, result)
        finally:
            os._exit(70)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status):
        failed = (folder / "tests.log").read_text()
        raise SystemExit(f"tests fail without any mutant, so they tell nothing: {tests}\n{failed}")
    found = json.loads(result.read_text())
    lines = {
        path: {int(line): names for line, names in of.items()}
        for path, of in found["lines"].items()
    }
    return Runs(lines, found["seconds"])


def _watch(tests: Sequence[str], folder: Path, importable: Path, result: Path) -> None:
    import coverage

    watch = coverage.Coverage(
        data_file=None, include=[f"{folder}/roofline/*", f"{folder}/validate/*"], config_file=False
    )
    plugin = _Watch(watch.switch_context)
    _prepare(folder, importable)
    watch.start()
    code = _pytest(tests, plugin)
    watch.stop()
    data = watch.get_data()
    lines = {
        Path(path).relative_to(folder.resolve()).as_posix(): {
            line: [name for name in names if name]
            for line, names in data.contexts_by_lineno(path).items()
        }
        for path in data.measured_files()
    }
    result.write_text(json.dumps({"lines": lines, "seconds": plugin.seconds}))
    os._exit(code)


def survives(
    tests: Sequence[str], folder: Path, importable: Path, most_s: float, only: Sequence[str] = ()
) -> bool:
    """Return whether the tests pass, in a process forked from this one, which has loaded what is slow to load."""
    child = os.fork()
    if child == 0:
        try:
            # Processor time: a machine that others use too makes no mutant hang.
            resource.setrlimit(resource.RLIMIT_CPU, (round(most_s), round(most_s)))
            _prepare(folder, importable)
            os._exit(_pytest(tests, *([_ChosenTests(only)] if only else [])))
        finally:
            # Nothing that belongs to the parent is cleared up here.
            os._exit(70)
    end = time.monotonic() + _IDLE * most_s
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.05)
    # A mutant that hangs is noticed.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _prepare(folder: Path, importable: Path) -> None:
    """Stand in the copy, and import from it alone."""
    os.setsid()
    os.chdir(folder)
    log = os.open(folder / "tests.log", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    for stream, place in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
        os.dup2(place, stream)
    sys.path.insert(0, str(importable))
    os.environ["PYTHONPATH"] = str(importable)


def _pytest(tests: Sequence[str], *plugins: object) -> int:
    from hypothesis import settings

    # On a busy machine an example that is slow is no sign of a mutant.
    settings.register_profile("mutants", deadline=None)
    settings.load_profile("mutants")
    options = ["-x", "-q", "-pno:cacheprovider", "-Wignore::pytest.PytestAssertRewriteWarning"]
    return int(pytest.main([*options, *dict.fromkeys(tests)], plugins=list(plugins)))


def notices(mutant: Mutant, runs: Runs, folder: Path, importable: Path, most_s: float) -> bool:
    """Return whether a test fails: of those that run the line the quickest first, then all beside them."""
    around = statements((folder / mutant.path).read_text())
    covering = runs.of(mutant, around.get(mutant.line, range(mutant.line, mutant.line + 1)))
    with use_mutation(folder / mutant.path, get_operator(mutant.operator)(), mutant.occurrence):
        if covering:
            first = covering[:_FIRST]
            files = [test.split("::")[0] for test in first]
            if not survives(files, folder, importable, most_s, first):
                return True
            # Whole files: what a test prepares, or keeps, is there for those after it.
            files = [test.split("::")[0] for test in covering]
            return not survives(files, folder, importable, most_s)
        return not survives(mutant.tests.split(), folder, importable, most_s)


def run(chosen: Sequence[Mutant], into: Path, most_s: float) -> None:
    """Try mutants one by one; those that the file has already are left out, so that a run can be taken up again."""
    for slow_to_load in ("numpy", "onnx", "pandas"):
        importlib.import_module(slow_to_load)
    lines = into.read_text().splitlines() if into.exists() else []
    known = {json.loads(line)["name"] for line in lines}
    left = [mutant for mutant in chosen if mutant.name not in known]
    with tempfile.TemporaryDirectory() as name, into.open("a") as log:
        folder = Path(name)
        importable = copy_tree(folder)
        for tests in dict.fromkeys(mutant.tests for mutant in left):
            runs = watch_tests(tests, folder, importable)
            for mutant in left:
                if mutant.tests != tests:
                    continue
                begin = time.monotonic()
                alive = not notices(mutant, runs, folder, importable, most_s)
                entry = asdict(mutant) | {
                    "name": mutant.name,
                    "alive": alive,
                    "changed": changed_line(folder / mutant.path, mutant),
                    "seconds": time.monotonic() - begin,
                }
                log.write(json.dumps(entry) + "\n")
                log.flush()


def changed_line(path: Path, mutant: Mutant) -> list[tuple[str, str]]:
    """Return the first line that a mutant changes, before and after."""
    before = path.read_text()
    after = mutate_code(before, get_operator(mutant.operator)(), mutant.occurrence)
    return [
        (old.strip(), new.strip())
        for old, new in zip(before.splitlines(), (after or before).splitlines(), strict=False)
        if old != new
    ][:1]


def main() -> None:
    """Draw mutants and try them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add = parser.add_argument
    add("--sample", type=int, default=300, help="mutants to draw")
    add("--seed", type=int, default=1)
    add("--share", default="1/1", help="of the sample: 1/2 and 2/2 run side by side")
    add("--only", default="", help="mutants of modules whose path starts so")
    add("--into", type=Path, default=Path("mutants.jsonl"), help="what is found, one line each")
    add("--limit-s", type=float, default=300.0, help="processor time from which a mutant hangs")
    given = parser.parse_args()
    which, of = map(int, given.share.split("/"))
    drawn = sample_mutants(given.sample, given.seed)
    chosen = [mutant for mutant in drawn if mutant.path.startswith(given.only)]
    run(chosen[which - 1 :: of], given.into, given.limit_s)


if __name__ == "__main__":
    main()
