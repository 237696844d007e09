"""The import direction of the architecture, and the few modules that may touch a heavy package."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import roofline

from ..cli_process import run_python

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "roofline": ROOT / "roofline",
    "roofline.platforms": ROOT / "platforms",
    "roofline.workloads": ROOT / "workloads",
    "roofline.validate": ROOT / "validate",
}

# Lower may never import higher. A part is a module or a package; parts on one line may import each other.
LAYERS = (
    ("surfaces",),
    ("errors",),
    (
        "registry",
        "units",
        "cost",
        "precision",
        "reading",
        "arguments",
        "binding",
        "labels",
        "markdown",
        "progress",
        "conventions",
        "extras",
        "tables",
        "number_format",
        "parquet",
        "writing",
        "child",
        "temporary",
        "user_folders",
    ),
    ("node",),
    ("ops", "spec", "platforms"),
    ("layer", "layer_table"),
    ("graph",),
    ("workload",),
    ("decoding",),
    ("_load",),
    ("compress",),
    ("compression_flags",),
    ("model",),
    ("_sweep", "speedup", "sweeping"),
    ("serving", "expected_tokens", "decoder_classes"),
    ("chart", "report"),
    ("workloads",),
    ("advice",),
    ("validate",),
    ("reproduce",),
    ("cli", "__main__"),
)
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}

# Who may import what is expensive or optional; a prefix names a package with all that is in it.
ALLOWED = {
    "onnx": ("roofline.graph", "roofline.compress", "roofline.workloads", "roofline.validate"),
    "onnxruntime": ("roofline.validate", "roofline.compress"),
    "tvm": ("roofline.validate",),
    "torch": ("roofline.workloads", "roofline.validate"),
    "fvcore": ("roofline.workloads",),
    "matplotlib": ("roofline.chart",),
    "plotly": ("roofline.report", "roofline.chart"),
}


def modules() -> Iterator[tuple[str, Path]]:
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            name = ".".join([package, *(part for part in parts if part != "__init__")])
            yield name, path


LOOK_UPS = {
    ("roofline._load", "roofline.workloads"),
    ("roofline._load", "roofline.workloads.hugging_face"),
    ("roofline.model._prediction", "roofline.chart"),
}
"""Names that are looked up above on purpose, by `importlib` and only when asked: what is shipped, what draws."""


@cache
def imports(path: Path, *, of_types: bool = False) -> tuple[tuple[str, int], ...]:
    """Return every imported module with its line, also through `importlib` and the public names of `roofline`.

    Imports for type checking alone are left out, or with `of_types` among the others.
    """
    tree = ast.parse(path.read_text())
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if not of_types and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            skipped.update(inner for statement in node.body for inner in ast.walk(statement))
    nodes = [node for node in ast.walk(tree) if node not in skipped]
    public = {
        alias.asname or alias.name
        for node in nodes
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name == "roofline"
    }
    return tuple((name, node.lineno) for node in nodes for name in named(node, public))


def named(node: ast.AST, public: set[str]) -> Iterator[str]:
    """Yield the modules that one statement or expression imports."""
    match node:
        case ast.Import():
            yield from (alias.name for alias in node.names)
        case ast.ImportFrom(module="roofline", level=0):
            for alias in node.names:
                yield roofline._HOMES.get(alias.name, f"roofline.{alias.name}")
        case ast.ImportFrom(module=str(module), level=0):
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in public:
            if attribute in roofline._HOMES:
                yield roofline._HOMES[attribute]
        case ast.Call(
            func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(module)), *_]
        ):
            yield module


def part_of(module: str) -> str | None:
    pieces = module.split(".")
    return pieces[1] if pieces[0] == "roofline" and len(pieces) > 1 and pieces[1] in RANK else None


def test_every_part_has_a_place_in_the_order() -> None:
    unplaced = {
        name.split(".")[1]
        for name, _ in modules()
        if "." in name and name.split(".")[1] not in RANK
    }
    assert not unplaced


def test_imports_point_downwards() -> None:
    broken = [
        f"{path.relative_to(ROOT)}:{line} imports {target}"
        for name, path in modules()
        if (here := part_of(name)) is not None
        for target, line in imports(path)
        if (there := part_of(target)) is not None and there != here and RANK[there] > RANK[here]
        if (name, target) not in LOOK_UPS
    ]
    assert not broken


def test_no_module_imports_itself_in_a_circle() -> None:
    known = dict(modules())
    graph = {
        name: {
            target
            for target, _ in imports(path)
            if target in known and target != name and (name, target) not in LOOK_UPS
        }
        for name, path in known.items()
    }
    graphlib.TopologicalSorter(graph).prepare()


def test_no_two_modules_need_each_others_types() -> None:
    known = {name: path for name, path in modules() if not path.name.startswith("__init__")}
    needs = {
        name: {target for target, _ in imports(path, of_types=True) if target in known}
        for name, path in known.items()
    }
    pairs = {
        frozenset((name, other))
        for name, others in needs.items()
        for other in others - {name}
        if name in needs[other] and {(name, other), (other, name)}.isdisjoint(LOOK_UPS)
    }
    assert not [sorted(pair) for pair in pairs]


def test_every_look_up_is_still_made() -> None:
    known = dict(modules())
    assert all(target in dict(imports(known[name])) for name, target in LOOK_UPS)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import roofline.spec", ["roofline.spec"]),
        ("from roofline import predict, workloads", ["roofline.model", "roofline.workloads"]),
        ("import roofline as rl\nrl.sweep", ["roofline", "roofline._sweep"]),
        ("def f():\n    from roofline.spec import platform", ["roofline.spec", "roofline.spec.platform"]),
        ("import importlib\nimportlib.import_module('roofline.cli')", ["importlib", "roofline.cli"]),
        ("if TYPE_CHECKING:\n    import roofline.spec", []),
    ],
)  # fmt: skip
def test_every_way_of_importing_is_seen(tmp_path: Path, code: str, found: list[str]) -> None:
    path = tmp_path / "module.py"
    path.write_text(code)
    assert [name for name, _ in imports(path)] == found


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_heavy_packages_stay_where_they_belong(package: str) -> None:
    broken = [
        f"{path.relative_to(ROOT)}:{line}"
        for name, path in modules()
        if not name.startswith(ALLOWED[package])
        for target, line in imports(path)
        if target == package or target.startswith(f"{package}.")
    ]
    assert not broken


HEAVY = frozenset(
    {"pandas", "matplotlib", "onnx", "torch", "tvm", "onnxruntime", "plotly", "scipy"}
)


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import roofline", HEAVY | {"numpy", "pydantic"}),
        ("from roofline.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass", HEAVY | {"numpy"}),
        ("from roofline.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass", HEAVY | {"numpy"}),
        ("import roofline.model, roofline.spec", HEAVY),
    ],
)  # fmt: skip
def test_start_up_loads_nothing_heavy(code: str, heavy: frozenset[str]) -> None:
    script = f"import sys\n{code}\nsys.stderr.write(' '.join({set(heavy)} & set(sys.modules)))"
    done = run_python("-c", script, check=True)
    assert done.stderr == ""


def test_the_help_of_no_verb_loads_arrays() -> None:
    verbs = [path.stem.removeprefix("verb_") for path in (ROOT / "roofline/cli").glob("verb_*.py")]
    script = (
        "import sys\nfrom roofline.cli import main\n"
        f"for verb in {sorted(verbs)!r}:\n"
        "    try: main([verb, '--help'])\n"
        "    except SystemExit as stop: assert stop.code == 0, verb\n"
        "sys.stderr.write(' '.join({'numpy', 'onnx', 'pandas'} & set(sys.modules)))"
    )
    assert run_python("-c", script, check=True).stderr == ""


@pytest.mark.parametrize(
    "arguments", [["count", "mlp"], ["predict", "mlp", "-p", "h100-sxm", "-d", "fp16"]]
)
def test_counting_and_predicting_load_no_framework(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom roofline.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "sys.stderr.write(' '.join({'torch', 'tvm', 'onnxruntime', 'matplotlib', 'pandas'} & set(sys.modules)))"
    )
    done = run_python("-c", script, check=True)
    assert done.stderr == ""
