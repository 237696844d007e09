"""The documentation site: its examples run, its pages are built strictly, and it asks no other server for anything."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

from roofline.cli import main

from ..cli_process import run_python

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def run(line: str) -> None:
    words = shlex.split(line, comments=True)
    assert words[0] == "roofline"
    with pytest.raises(SystemExit) as stopped:
        main(words[1:])
    assert not stopped.value.code, line


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks("tutorial.md", "sh"))
def test_the_tutorials_commands_run(block, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for line in block.splitlines():
        run(line)
    assert capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks("tutorial.md", "python"))
def test_the_tutorials_python_runs(block, capsys):
    exec(compile(block, "tutorial.md", "exec"), {})
    assert re.match(r"1 \d+ memory", capsys.readouterr().out)


@pytest.mark.slow
def test_the_sweeps_page_runs(tmp_path, monkeypatch):
    for package in ("pandas", "polars", "duckdb", "pyarrow"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    (grid,) = blocks("sweeps.md", "yaml")
    Path("grid.yaml").write_text(grid, encoding="utf-8")
    commands = [line for block in blocks("sweeps.md", "console") for line in block.splitlines()]
    for line in commands[:2]:
        run(line)
    found: dict = {}
    (code,) = blocks("sweeps.md", "python")
    exec(compile(code, "sweeps.md", "exec"), found)
    assert len(found["frame"]) == len(found["lazy"].collect()) == 2 * 3 * 2 * 2 * 4096
    assert len(found["best"].fetchall()) == 4


def test_links_between_files_hold_in_the_repository_too():
    pages = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
    links = {
        (page.name, target)
        for page in pages
        for target in re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    }
    assert not links


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if find_spec("mkdocs") is None or find_spec("material") is None:
        pytest.skip("the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    config = ROOT / "mkdocs.yml"
    run_python("-m", "mkdocs", "build", "-q", "--strict", "-f", config, "-d", folder, check=True)
    return folder


@pytest.mark.slow
def test_the_site_asks_no_other_server(site):
    script = r'<(?:script|img|iframe)[^>]+src="?(?:https?:)?//'
    style = r'<link[^>]+rel="?(?:stylesheet|preconnect)[^>]+href="?https?:'
    loaded = re.compile(f"{script}|{style}")
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    assert not [page for page in pages if loaded.search(page.read_text(encoding="utf-8"))]


@pytest.mark.slow
def test_every_operator_and_public_name_has_a_place(site):
    import roofline
    from roofline.ops import supported_operators

    counted = (site / "counted/index.html").read_text(encoding="utf-8")
    assert [
        row.op_type for row in supported_operators() if f"{row.op_type}</code>" not in counted
    ] == []
    reference = (site / "api/index.html").read_text(encoding="utf-8")
    assert [
        name
        for name in roofline.__all__
        if f">{name}<" not in reference and not name.startswith("_")
    ] == []
