"""Figures of the code's structure, from its syntax trees: how large, how long, how typed, how documented.

    python benchmarks/code_figures.py                            # the program: roofline, validate, workloads
    python benchmarks/code_figures.py --list long roofline/ops   # which functions are too long there

Two checkouts compare by running it in each, or with ``--root``. Tests and benchmarks are no part of the program.
Cyclomatic complexity is ruff's (rule C901).
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from roofline.child import command, environment

FOLDERS = ("roofline", "validate", "workloads")
LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 60
COMPLEXITY = 20

Function = ast.FunctionDef | ast.AsyncFunctionDef
Public = Function | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands, and how much of it."""

    path: Path
    line: int
    name: str
    size: int = 1

    def __str__(self) -> str:
        """Return ``path:line name size``."""
        return f"{self.path}:{self.line} {self.name} {self.size}"


@dataclass(frozen=True, slots=True)
class Module:
    """A file and its syntax tree."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        """How many it has, blank lines and comments included."""
        return self.text.count("\n")

    def functions(self) -> Iterator[Function]:
        """Yield every function and method, inner ones included."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def classes(self) -> Iterator[ast.ClassDef]:
        """Yield every class."""
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef))


def modules(root: Path, folders: Sequence[str]) -> list[Module]:
    """Return the modules below some folders of a checkout, in order of their paths."""
    paths = sorted(path for folder in folders for path in (root / folder).rglob("*.py"))
    texts = ((path, path.read_text(encoding="utf-8")) for path in paths)
    return [Module(path.relative_to(root), text, ast.parse(text)) for path, text in texts]


def long_files(program: Sequence[Module]) -> list[Place]:
    """Return the files of more than `LINES_OF_A_FILE` lines."""
    return [
        Place(module.path, 1, "", module.lines)
        for module in program
        if module.lines > LINES_OF_A_FILE
    ]


def long_functions(program: Sequence[Module]) -> list[Place]:
    """Return the functions of more than `LINES_OF_A_FUNCTION` lines, signature and docstring included."""
    return [
        Place(module.path, node.lineno, node.name, lines)
        for module in program
        for node in module.functions()
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > LINES_OF_A_FUNCTION
    ]


def complex_functions(root: Path, folders: Sequence[str]) -> list[Place]:
    """Return the functions whose cyclomatic complexity is above `COMPLEXITY`."""
    asked = command(
        "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "C901",
        "--output-format", "json", "--config", f"lint.mccabe.max-complexity={COMPLEXITY}", *folders,
    )  # fmt: skip
    done = subprocess.run(asked, cwd=root, env=environment({}), capture_output=True, check=False)
    return [
        Place(
            Path(found["filename"]).relative_to(root), found["location"]["row"], found["message"]
        )
        for found in json.loads(done.stdout)
    ]


def untyped_mappings(program: Sequence[Module]) -> list[Place]:
    """Return where a mapping's values are of no type: ``dict[str, Any]`` or ``Mapping[str, Any]``."""
    return [
        Place(module.path, node.lineno, ast.unparse(node))
        for module in program
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Subscript)
        and ast.unparse(node) in {"dict[str, Any]", "Mapping[str, Any]"}
    ]


def undocumented_names(program: Sequence[Module]) -> list[Place]:
    """Return the public modules, classes and functions without a docstring."""
    return [
        Place(module.path, getattr(node, "lineno", 1), name)
        for module in program
        for name, node in public(module)
        if ast.get_docstring(node) is None
    ]


def public(module: Module) -> Iterator[tuple[str, Public | ast.Module]]:
    """Yield a module and what it defines under public names, methods of public classes included."""
    yield "module", module.tree
    for node in module.tree.body:
        if not isinstance(node, Public) or node.name.startswith("_"):
            continue
        yield node.name, node
        if isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, Function) and not method.name.startswith("_"):
                    yield f"{node.name}.{method.name}", method


def is_frozen(node: ast.ClassDef) -> bool:
    """Return whether a class is a frozen dataclass or pydantic model, an enum, a named tuple or a typed mapping."""
    sources = [ast.unparse(entry) for entry in (*node.decorator_list, *node.bases, *node.keywords)]
    immutable = ("frozen=True", "Enum", "NamedTuple", "TypedDict", "Frozen")
    return any(word in text for text in sources for word in immutable)


def holds_data(node: ast.ClassDef) -> bool:
    """Return whether a class declares fields."""
    return any(isinstance(entry, ast.AnnAssign) for entry in node.body)


def circles(program: Sequence[Module]) -> int:
    """Return how many groups of modules import one another at run time, imports inside functions left out."""
    from graphlib import CycleError, TopologicalSorter

    names = {module_name(module.path): module for module in program}
    graph = {name: set(imports(module, names)) - {name} for name, module in names.items()}
    found = 0
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            found += 1
            for name in error.args[1]:
                graph[name] = set()
        else:
            return found


def module_name(path: Path) -> str:
    """Return the dotted name that a file is imported by."""
    parts = path.with_suffix("").parts
    parts = parts if parts[0] == "roofline" else ("roofline", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(module: Module, names: dict[str, Module]) -> Iterator[str]:
    """Yield the modules among ``names`` that a module's own statements import."""
    for node in module.tree.body:
        if isinstance(node, ast.Import):
            yield from (entry.name for entry in node.names if entry.name in names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for entry in node.names:
                inner = f"{node.module}.{entry.name}"
                if inner in names or node.module in names:
                    yield inner if inner in names else node.module


def main() -> None:
    """Print the figures, or the places behind one of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folders", nargs="*", default=FOLDERS)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--list", choices=("files", "long", "complex", "untyped", "undocumented"))
    asked = parser.parse_args()
    root = asked.root.resolve()
    program = modules(root, asked.folders)
    places = {
        "files": long_files(program),
        "long": long_functions(program),
        "complex": complex_functions(root, asked.folders),
        "untyped": untyped_mappings(program),
        "undocumented": undocumented_names(program),
    }
    if asked.list:
        print(*sorted(places[asked.list], key=lambda place: -place.size), sep="\n")
        return
    data = [node for module in program for node in module.classes() if holds_data(node)]
    largest = max(program, key=lambda module: module.lines)
    documented = sum(1 for module in program for _ in public(module))
    for name, figure in (
        ("files", len(program)),
        ("lines", sum(module.lines for module in program)),
        ("largest file", f"{largest.path} ({largest.lines} lines)"),
        (f"files over {LINES_OF_A_FILE} lines", len(places["files"])),
        (f"functions over {LINES_OF_A_FUNCTION} lines", len(places["long"])),
        (f"functions of complexity over {COMPLEXITY}", len(places["complex"])),
        ("dict[str, Any] or Mapping[str, Any]", len(places["untyped"])),
        ("public docstrings", f"{documented - len(places['undocumented'])} of {documented}"),
        ("classes of data that are frozen", f"{sum(map(is_frozen, data))} of {len(data)}"),
        ("groups of modules that import one another", circles(program)),
    ):
        print(f"{name:45}{figure}")


if __name__ == "__main__":
    main()
