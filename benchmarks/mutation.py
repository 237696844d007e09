"""How many mutants of the code that makes figures are noticed by its tests.

Mutants are those of Cosmic Ray (``pip install cosmic-ray``): a comparison turned round, a number moved by one, an
operator replaced. A sample of them, drawn by seed, is put one by one into a copy of the tree, and the tests of the
mutated module run until one fails. Usage::

    python -P benchmarks/mutation.py --sample 300 --seed 1 --share 1/2 --into mutants-1.jsonl
    python -P benchmarks/mutation.py --report mutants-*.jsonl

A mutant that survives is a figure that could change unnoticed: write the test that kills it. One that changes nothing
that can be observed is named as equivalent in ``benchmarks/equivalent_mutants.csv``, with the reason.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import contextlib
import csv
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
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parents[1]
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.csv")

TESTS = (
    ("roofline/ops/attention", "tests/ops/test_attention.py tests/ops"),
    ("roofline/ops/experts", "tests/ops/test_contrib.py tests/ops"),
    ("roofline/ops/convolution", "tests/ops/test_convolution.py tests/ops"),
    ("roofline/ops/pooling", "tests/ops/test_pooling.py tests/ops"),
    ("roofline/ops/qonnx", "tests/ops/test_qonnx.py tests/ops"),
    ("roofline/ops/", "tests/ops tests/graph tests/conformance/test_operators.py tests/conformance/test_shapes.py"),
    ("roofline/graph/fusion/", "tests/fusion tests/graph"),
    ("roofline/graph/", "tests/graph tests/ops tests/fusion"),
    ("roofline/compress/", "tests/compress"),
    (
        "roofline/model/",
        "tests/test_model.py tests/test_model_networks.py tests/test_calibrated.py tests/test_expected_bound.py "
        "tests/test_serving.py tests/validate/test_evidence.py tests/golden",
    ),
    (
        "roofline/spec/",
        "tests/test_spec.py tests/test_spec_errors.py tests/test_spec_audit.py tests/test_spec_matching.py "
        "tests/test_spec_cli.py tests/conformance/test_platforms.py",
    ),
    (
        "validate/analysis/",
        "tests/validate/test_compare.py tests/validate/test_derived.py tests/validate/test_gains.py "
        "tests/validate/test_campaign_results.py tests/validate/test_measure_cli.py",
    ),
    (
        "validate/records/importers/",
        "tests/validate/importers",
    ),
    (
        "validate/records/",
        "tests/validate/test_record.py tests/validate/test_store.py tests/validate/test_store_versions.py "
        "tests/validate/test_tables.py tests/validate/importers",
    ),
    (
        "validate/measuring/",
        "tests/validate/test_output_check.py tests/validate/test_measure.py tests/validate/test_per_layer.py "
        "tests/validate/test_bound_inputs.py tests/validate/test_measure_cli.py",
    ),
)  # fmt: skip
"""Tests of each part, by the start of its modules' paths; the first that fits counts. Those of its own come first."""


_IDLE = 10
"""Times the limit of processor time after which a mutant that waits is ended."""


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
        """What it is called in `EQUIVALENT`: unchanged by edits elsewhere in the module."""
        return f"{self.path} {self.operator} {self.occurrence}"


def mutants(path: Path) -> list[list[Mutant]]:
    """Return the mutants of each place of a module, but for places that no run reads."""
    hidden = unobserved(path.read_text())
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


def unobserved(code: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
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


def sampled(number: int, seed: int) -> list[Mutant]:
    """Return mutants drawn by chance, each of another place: of every part as many as its share of all lines."""
    parts: dict[str, list[Path]] = {}
    for path in sorted([*ROOT.glob("roofline/**/*.py"), *ROOT.glob("validate/**/*.py")]):
        where = path.relative_to(ROOT).as_posix()
        if any(where.startswith(start) for start, _ in TESTS):
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


def copied(folder: Path) -> Path:
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


def tests_of(mutant: Mutant) -> str:
    """Return the tests of the part that a mutant changes."""
    return next(files for start, files in TESTS if mutant.path.startswith(start))


def survives(tests: str, folder: Path, importable: Path, most_s: float) -> bool:
    """Return whether the tests pass, in a process forked from this one, which has loaded what is slow to load."""
    child = os.fork()
    if child == 0:
        try:
            # Processor time: a machine that others use too makes no mutant hang.
            resource.setrlimit(resource.RLIMIT_CPU, (round(most_s), round(most_s)))
            _test(tests.split(), folder, importable)
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


def _test(tests: Sequence[str], folder: Path, importable: Path) -> None:
    os.setsid()
    os.chdir(folder)
    log = os.open(folder / "tests.log", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    for stream, place in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
        os.dup2(place, stream)
    sys.path.insert(0, str(importable))
    os.environ["PYTHONPATH"] = str(importable)
    import pytest
    from hypothesis import settings

    # On a busy machine an example that is slow is no sign of a mutant.
    settings.register_profile("mutants", deadline=None)
    settings.load_profile("mutants")
    options = [
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
    ]
    code = pytest.main([*options, *dict.fromkeys(tests)])
    os._exit(int(code))


def run(chosen: Sequence[Mutant], into: Path, most_s: float) -> None:
    """Try mutants one by one; those that the file has already are left out, so that a run can be taken up again."""
    import numpy as np
    import onnx
    import pandas as pd
    import pytest

    del np, onnx, pd, pytest
    known = {entry["name"] for entry in read([into])} if into.exists() else set()
    with tempfile.TemporaryDirectory() as name, into.open("a") as log:
        folder = Path(name)
        importable = copied(folder)
        for tests in dict.fromkeys(map(tests_of, chosen)):
            if not survives(tests, folder, importable, most_s):
                failed = (folder / "tests.log").read_text()
                raise SystemExit(
                    f"tests fail without any mutant, so they tell nothing: {tests}\n{failed}"
                )
        for mutant in chosen:
            if mutant.name in known:
                continue
            tests = tests_of(mutant)
            begin = time.monotonic()
            with use_mutation(
                folder / mutant.path, get_operator(mutant.operator)(), mutant.occurrence
            ) as (before, after):
                alive = survives(tests, folder, importable, most_s)
            changed = [
                (old.strip(), new.strip())
                for old, new in zip(before.splitlines(), after.splitlines(), strict=False)
                if old != new
            ][:1]
            entry = asdict(mutant) | {
                "name": mutant.name,
                "alive": alive,
                "changed": changed,
                "seconds": time.monotonic() - begin,
            }
            log.write(json.dumps(entry) + "\n")
            log.flush()


def read(files: Sequence[Path]) -> list[dict[str, object]]:
    """Return what is known of mutants, the last of each that counts."""
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return list({line["name"]: line for line in lines}.values())


def report(files: Sequence[Path]) -> int:
    """Print the share that is killed, and every survivor; return how many survive that are not equivalent."""
    found = read(files)
    with EQUIVALENT.open(newline="") as file:
        equivalent = {row["mutant"]: row["reason"] for row in csv.DictReader(file)}
    alive = [entry for entry in found if entry["alive"]]
    missed = [entry for entry in alive if entry["name"] not in equivalent]
    parts = Counter("/".join(str(entry["path"]).split("/")[:2]) for entry in found)
    lost = Counter("/".join(str(entry["path"]).split("/")[:2]) for entry in missed)
    for part, number in sorted(parts.items()):
        sys.stdout.write(f"{part}: {number - lost[part]} of {number}\n")
    total, same = len(found), len(alive) - len(missed)
    killed = total - len(alive)
    sys.stdout.write(
        f"killed {killed} of {total - same} ({killed / max(1, total - same):.1%}); {same} equivalent\n"
    )
    for entry in missed:
        sys.stdout.write(
            f"alive: {entry['path']}:{entry['line']} {entry['operator']} {entry['changed']}  [{entry['name']}]\n"
        )
    return len(missed)


def main() -> None:
    """Run or report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--sample", type=int, default=300, help="mutants to draw")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--share", default="1/1", help="of the sample: 1/2 and 2/2 run side by side"
    )
    parser.add_argument("--only", default="", help="mutants of modules whose path starts so")
    parser.add_argument(
        "--into", type=Path, default=Path("mutants.jsonl"), help="what is found, one line each"
    )
    parser.add_argument(
        "--time-limit",
        type=float,
        default=300.0,
        help="seconds of processor time after which a mutant counts as killed",
    )
    parser.add_argument("--report", type=Path, nargs="+", help="print what was found")
    given = parser.parse_args()
    if given.report:
        raise SystemExit(1 if report(given.report) else 0)
    which, of = map(int, given.share.split("/"))
    chosen = [
        mutant
        for mutant in sampled(given.sample, given.seed)
        if mutant.path.startswith(given.only)
    ]
    run(chosen[which - 1 :: of], given.into, given.time_limit)


if __name__ == "__main__":
    main()
