"""The pages about networks and reproduction show what the program says."""

import re
from pathlib import Path

import pytest

import roofline
from roofline.cli.verb_reproduce import _scorecard
from roofline.validate.studies import reproduce, studies
from roofline.workloads import build, networks
from roofline.workloads._builder import Builder

DOCS = Path(__file__).parents[2] / "docs"


def test_every_network_is_in_the_table_with_its_counts():
    page = (DOCS / "networks.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    shown = {row[0].strip("`"): row[1:] for row in rows}
    assert list(shown) == list(networks)
    for key, row in shown.items():
        workload = roofline.load(key)
        expected = (workload.macs / 1e9, workload.parameters / 1e6, workload.weight_bytes / 1e6)
        assert row[:2] == [networks.get(key).title, networks.get(key).dataset]
        assert [float(cell) for cell in row[2:]] == [
            round(expected[0], 3),
            *(round(x, 2) for x in expected[1:]),
        ]


@pytest.mark.parametrize("paper", studies)
def test_scorecards_are_those_of_the_command(paper):
    page = (DOCS / "reproduction.md").read_text(encoding="utf-8")
    card = _scorecard(studies.get(paper).title, reproduce(paper))
    assert f"$ roofline reproduce {paper}\n{card}\n" in page


def test_the_definition_on_the_page_works():
    """The example builds: 16 kernels of 3x3x3, and a classifier of 16 inputs and 10 outputs."""
    page = (DOCS / "networks.md").read_text(encoding="utf-8")
    body = re.search(r"def tiny\(net: Builder\) -> None:\n((?:    .*\n)+)", page)[1]
    names = {}
    exec(f"def tiny(net):\n{body}", names)
    net = Builder("tiny", batch=1)
    names["tiny"](net)
    model = net.model("tiny")
    assert [tuple(t.dims) for t in model.graph.initializer if t.name.endswith("weight")] == [
        (16, 3, 3, 3),
        (10, 16),
    ]


def test_the_snippet_on_the_page_works():
    assert (
        build("mlp_12_5", weights="random", seed=0, batch=8)
        .graph.input[0]
        .type.tensor_type.shape.dim[0]
        .dim_value
        == 8
    )
