"""Which tests run which lines, and whether some tests pass, each in a process forked from one that is warm.

What the tests of a file run is kept in ``.coverage-by-test`` of the checkout, so that one file of tests runs under
coverage once, until it changes. It only chooses and orders tests: a module that has changed since is known by its tests
as a whole, no longer by its lines.
"""

from __future__ import annotations

import ast
import compileall
import contextlib
import functools
import hashlib
import json
import os
import py_compile
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import coverage
import pytest

ROOT = Path(__file__).parents[1]
KEPT = ROOT / ".coverage-by-test"

_WATCHED_S = 20.0
"""Processor time after which no further test of a file is watched: the rest of a slow file chooses no tests."""

_IDLE = 20
"""Times the limit of processor time after which a process that waits is ended."""


@dataclass(frozen=True)
class Copy:
    """A copy of the tree, in which mutants are put."""

    folder: Path
    importable: Path
    """From where Python imports it."""


def copy_tree(folder: Path) -> Copy:
    """Copy the tree as it is."""
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
    return Copy(folder.resolve(), package.parent)


@dataclass(frozen=True)
class Outcome:
    """How a run of tests ended."""

    failed: str
    """The first test that failed, or what ended the run; empty if all passed."""
    seconds: float
    """Of processor time."""


class _FirstFailure:
    """Plugin of pytest: writes down at once which test fails first."""

    def __init__(self, into: Path) -> None:
        self._into = into

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self._into.exists():
            self._into.write_text(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self._into.exists():
            self._into.write_text(f"{report.nodeid} (on import)")


class _ChosenTests:
    """Plugin of pytest: runs these tests alone, in this order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._places = {test: place for place, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        kept = [item for item in items if item.nodeid in self._places]
        items[:] = sorted(kept, key=lambda item: self._places[item.nodeid])


def run_tests(tests: Sequence[str], copy: Copy, most_s: float) -> Outcome:
    """Run tests in their order until one fails, in a process forked from this one."""
    failed = copy.folder / "failed.txt"
    failed.unlink(missing_ok=True)

    def run() -> int:
        # Processor time: a machine that others use too makes no mutant hang.
        resource.setrlimit(resource.RLIMIT_CPU, (round(most_s) + 1, round(most_s) + 1))
        return _pytest(files_of(tests), _ChosenTests(tests), _FirstFailure(failed))

    code, seconds = _in_fork(run, copy, _IDLE * most_s)
    if code == pytest.ExitCode.OK:
        return Outcome("", seconds)
    if failed.exists():
        return Outcome(failed.read_text(), seconds)
    return Outcome("time" if code < 0 else f"pytest ended with {code}", seconds)


def files_of(tests: Sequence[str]) -> list[str]:
    """Return the files that tests are in, each once."""
    return list(dict.fromkeys(test.split("::")[0] for test in tests))


def _in_fork(run: Callable[[], int], copy: Copy, wait_s: float) -> tuple[int, float]:
    """Return the exit status of a function in a process of its own, negative if ended, and its processor time."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            _enter(copy)
            code = run()
        finally:
            # Nothing that belongs to the parent is cleared up here.
            os._exit(code)
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        done, status, used = os.wait4(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -signal.SIGKILL, wait_s


def _enter(copy: Copy) -> None:
    """Stand in the copy, and import from it alone."""
    os.setsid()
    os.chdir(copy.folder)
    log = os.open(copy.folder / "tests.log", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    for stream, place in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
        os.dup2(place, stream)
    sys.path.insert(0, str(copy.importable))
    os.environ["PYTHONPATH"] = str(copy.importable)


def _pytest(files: Sequence[str], *plugins: object, first: bool = True) -> int:
    from hypothesis import Phase, settings

    # An example that is slow on a busy machine is no sign of a mutant; one that fails is not made small, nor kept.
    settings.register_profile(
        "mutants", deadline=None, database=None, phases=(Phase.explicit, Phase.generate)
    )
    options = ["-q", "-pno:cacheprovider", "-Wignore::pytest.PytestAssertRewriteWarning"]
    chosen = [*options, "--hypothesis-profile=mutants", *(["-x"] if first else []), *files]
    return int(pytest.main(chosen, plugins=list(plugins)))


class _Watch:
    """Plugin of pytest: tells coverage which test runs, and notes how long each takes and whether it passes."""

    def __init__(self, switch: Callable[[str], object]) -> None:
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []
        self._switch = switch
        self._begin = time.process_time()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._switch(item.nodeid)
        # A test that waits costs no less than one that computes, but one that is kept waiting by others does.
        begin, computed = time.perf_counter(), time.process_time()
        yield
        if computed - self._begin < _WATCHED_S:
            waited = min(time.perf_counter() - begin, 5.0)
            self.seconds[item.nodeid] = max(waited, time.process_time() - computed)
        self._switch("")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        if time.process_time() - self._begin >= _WATCHED_S:
            pytest.skip("watched for long enough")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)


@dataclass(frozen=True)
class FileRun:
    """What the tests of one file run when no mutant is there."""

    data: Path
    seconds: Mapping[str, float]
    """Of each test that passes."""
    modules: Mapping[str, str]
    """What stood in each module, as a hash."""

    def lines(self, path: str, folder: Path) -> dict[int, list[str]]:
        """Return the tests that run each line of a module; of one that changed since, under 0 those of any line."""
        data = coverage.CoverageData(basename=str(self.data))
        data.read()
        found = {
            line: [name for name in names if name in self.seconds]
            for line, names in data.contexts_by_lineno(path).items()
        }
        if self.modules.get(path) == _hash(folder / path):
            return found
        return {0: list(dict.fromkeys(name for names in found.values() for name in names))}


def watch_file(test: str, copy: Copy) -> FileRun:
    """Return what the tests of a file run: what is kept of it, or of a run of them now."""
    kept = KEPT / test.replace("/", ".")
    data, notes = kept.with_suffix(".db"), kept.with_suffix(".json")
    hashed = _hash(copy.folder / test)
    if not notes.exists() or json.loads(notes.read_text())["test"] != hashed:
        KEPT.mkdir(exist_ok=True)
        data.unlink(missing_ok=True)
        code, _ = _in_fork(lambda: _watch(test, copy, data, notes), copy, 3600)
        if code:
            raise SystemExit(f"{test} could not run without any mutant: {code}")
    found = json.loads(notes.read_text())
    if found["failed"]:
        sys.stderr.write(
            f"these fail without any mutant, so they are left out: {found['failed']}\n"
        )
    passed = {name: s for name, s in found["seconds"].items() if name not in found["failed"]}
    return FileRun(data, passed, found["modules"])


def _watch(test: str, copy: Copy, into: Path, notes: Path) -> int:
    watch = coverage.Coverage(
        data_file=str(into),
        include=[f"{copy.folder}/roofline/*", f"{copy.folder}/validate/*"],
        config_file=False,
    )
    watch.set_option("run:relative_files", value=True)
    plugin = _Watch(watch.switch_context)
    watch.start()
    code = _pytest([test], plugin, first=False)
    watch.stop()
    watch.save()
    notes.write_text(
        json.dumps(
            {
                "test": _hash(copy.folder / test),
                "seconds": plugin.seconds,
                "failed": plugin.failed,
                "modules": {
                    path: _hash(copy.folder / path)
                    for path in sorted(watch.get_data().measured_files())
                },
            }
        )
    )
    # A file whose tests are all left out by their markers has none.
    ran = {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED}
    return 0 if code in ran else code


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_files(tests: str, folder: Path) -> list[str]:
    """Return the files of tests that a part names, folders among them."""
    found: list[str] = []
    for name in tests.split():
        path = folder / name
        inside = sorted(path.glob("**/test_*.py")) if path.is_dir() else [path]
        found += [entry.relative_to(folder).as_posix() for entry in inside]
    return found


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


def lines_of_functions(code: str) -> set[int]:
    """Return the lines that run when a function is called; all others run once, on import."""
    return {
        line
        for node in ast.walk(ast.parse(code))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for line in range(node.body[0].lineno, (node.end_lineno or 0) + 1)
    }


@dataclass(frozen=True)
class PartRun:
    """What the tests of a part run when no mutant is there."""

    files: tuple[FileRun, ...]
    copy: Copy

    @functools.cached_property
    def seconds(self) -> dict[str, float]:
        """Of every test that passes."""
        return {name: s for file in self.files for name, s in file.seconds.items()}

    def find_nearest(self, path: str, line: int) -> list[str]:
        """Return the tests that run a line, the quickest first; where there are none, those of its module, or all.

        What runs on import is everybody's: which test imports a module first says nothing.
        """
        code = (self.copy.folder / path).read_text()
        statement = statements(code).get(line, range(line, line + 1))
        lines = [file.lines(path, self.copy.folder) for file in self.files]
        called = (*statement, 0) if line in lines_of_functions(code) else ()
        near = {name for of in lines for place in called for name in of.get(place, ())}
        module = {name for of in lines for names in of.values() for name in names}
        for found in (near, module):
            if found:
                return sorted(found, key=lambda name: self.seconds[name])
        return sorted(self.seconds, key=lambda name: self.seconds[name])


def watch_part(tests: str, copy: Copy) -> PartRun:
    """Return what the tests of a part run."""
    return PartRun(tuple(watch_file(file, copy) for file in test_files(tests, copy.folder)), copy)
