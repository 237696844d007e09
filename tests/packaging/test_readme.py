"""What the README says runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    dense, half = capsys.readouterr().out.splitlines()
    # 7.716 GOP on 1.33 TOP/s, the figures of the paper's tables.
    assert dense == "3.86 GMAC, at most 172 fps, compute-bound"
    assert float(half.split()[0]) < 3.86 / 3


def test_every_verb_it_names_exists() -> None:
    verbs = set(re.findall(r"^roofline (\w+)", README, re.MULTILINE))
    assert verbs
    assert all((ROOT / "roofline" / "cli" / f"verb_{verb}.py").exists() for verb in verbs)


def test_files_it_links_to_exist() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_page_and_notebook_is_linked() -> None:
    pages = [*ROOT.glob("docs/*.md"), *ROOT.glob("notebooks/*.ipynb")]
    names = [str(page.relative_to(ROOT)) for page in pages]
    assert len(names) > 10
    assert [name for name in names if f"]({name})" not in README] == []


@pytest.mark.parametrize(("mark", "end"), [("test", "/pytest"), ("demo", "/roofline demo")])
def test_commands_are_those_ci_runs(mark: str, end: str) -> None:
    # .ci/run takes the commands from here, so that the two cannot differ.
    assert f"<!-- {mark} command -->" in (ROOT / ".ci" / "run").read_text()
    (command,) = re.findall(rf"<!-- {mark} command -->\n```console\n(.*?)\n```", README, re.DOTALL)
    assert command.count("\n") == 0
    assert command.endswith(end)


def test_how_near_estimates_come_is_what_the_summaries_say() -> None:
    found = json.loads((ROOT / "validate/evidence/summary.json").read_text(encoding="utf-8"))
    silicon, bound = found["silicon"]["all"], found["equation1"]["all"]
    assert (
        f"{silicon['n']:,} published and reported runs of {silicon['machines']} machines" in README
    )
    assert f"{bound['factor_machines']:.2g}x, {bound['factor_rows']:.2f}x by runs" in README
    for scores in (silicon, found["figures"]["3"]):
        factors = f"{scores['factor_machines']:.2f}x, {scores['factor_rows']:.2f}x by runs"
        assert factors in README
    machines = json.loads((ROOT / "benchmarks/calibrated.json").read_text(encoding="utf-8"))
    drawn = machines["EPYC Genoa, 2.6 GHz, again"]["onnxruntime, 1 thread"]["first"]["drawn"]
    assert f"{drawn['MAPE']}, {drawn['within 10 %']} within 10 %" in " ".join(README.split())
