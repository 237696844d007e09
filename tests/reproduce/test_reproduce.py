"""The scorecard of the papers: what agrees is held to the counts that an independent evaluation found."""

import csv
import json

import pytest

from roofline.cli import main
from roofline.errors import OptionError
from roofline.validate.studies import reproduce, studies
from roofline.validate.studies.cells import Cell, Table, compare_cell
from roofline.validate.studies.qutibench.runs import squares
from roofline.validate.studies.turner.published import implied_sparsity
from roofline.workloads.turner_memory import MEBIBYTE, PLAIN, dense_kernel, memory, sparse_kernel

from ..collected import rows


@pytest.fixture(name="scorecard", scope="module")
def _scorecard():
    return {
        paper: {table.name.split(":")[0]: table for table in reproduce(paper)} for paper in studies
    }


@pytest.mark.parametrize("paper", studies)
def test_every_cell_that_does_not_agree_says_why(paper, scorecard):
    for table in scorecard[paper].values():
        for cell in table.disagree:
            assert cell.why, (table.name, cell)


def test_all_predictions_but_the_misprint_agree(scorecard):
    table = scorecard["qutibench"]["Predictions (frames per second)"]
    assert (len(table.cells), table.agree) == (165, 164)
    (wrong,) = table.disagree
    assert wrong.cell == "zcu104-finn mlp 25 % int2"
    assert wrong.ours == pytest.approx(2 * wrong.published, rel=1e-3)
    assert "misprint" in wrong.why


def test_all_portal_efficiencies_but_one_agree(scorecard):
    """31 of 120 are above 100 %, and all of them are MLPs."""
    table = scorecard["qutibench"]["Efficiencies (measured / predicted, percent)"]
    assert (len(table.cells), table.agree) == (120, 119)
    above = [cell for cell in table.cells if cell.ours > 100]
    assert len(above) == 31
    assert all(" mlp " in cell.cell for cell in above)


def test_efficiencies_are_those_of_the_collected_runs(scorecard):
    table = scorecard["qutibench"]["Efficiencies (measured / predicted, percent)"]
    collected = sorted(
        float(row["efficiency_percent"])
        for row in rows("runs")
        if row["platform"] != "NCS" and row["network"] != "ResNet-50v1.5"
    )
    assert sorted(cell.ours for cell in table.cells) == pytest.approx(collected, rel=1e-4)


def test_table_4_rows_with_an_exact_graph_agree(scorecard):
    """ResNet-50, CNV from 100 to 25 % and MLP are exact in every column; MobileNet within 1 %."""
    table = scorecard["qutibench"]["Table 4"]
    exact = ("resnet50 100", "mobilenet_v1", "cnv 100", "cnv 50", "cnv 25", "mlp")
    for cell in table.cells:
        if cell.cell.startswith(exact):
            assert cell.agrees, cell


def test_table_4_counts_are_the_exact_ones(scorecard):
    exact = sorted(float(row["gop"]) for row in rows("requirements") if row["gop"])
    ours = sorted(
        cell.ours for cell in scorecard["qutibench"]["Table 4"].cells
        if cell.cell.endswith("ops_gop") and cell.ours is not None
    )  # fmt: skip
    assert ours == pytest.approx(exact, rel=1e-12)


def test_orthogonality_is_that_of_the_collected_runs():
    expected = sorted(
        float(row["ratio_percent"]) for row in rows("squares") if row["metric"] == "fps"
    )
    assert sorted(100 * s.ratio("throughput_fps") for s in squares()) == pytest.approx(
        expected, rel=1e-4
    )


def test_both_ratios_of_a_square_are_one_number():
    """Pruning after over before quantization equals quantization after over before pruning."""
    for square in squares():
        a, b, c, d = (corner["throughput_fps"] for corner in square.corners)
        assert square.ratio("throughput_fps") == pytest.approx((d / b) / (c / a))
        assert square.ratio("throughput_fps") == pytest.approx((d / c) / (b / a))


def test_machines_have_the_papers_numbers(scorecard):
    table = scorecard["qutibench"]["Table 2"]
    assert len(table.cells) > 40
    # Two printed powers are another mode's and another product's; both say why.
    disagree = [cell for cell in table.cells if not cell.agrees]
    assert [cell.cell for cell in disagree] == ["tx2:maxq power_w", "ncs power_w"]
    assert all(cell.why for cell in disagree)


def test_statements_have_the_verdicts_of_an_independent_evaluation(scorecard):
    """Reproduced: S1, S2, S4, S5, S7, S8, S9, S15, S18, S19, S20; S6 within a tenth of 2; the rest not."""
    agreed = {
        cell.cell.split()[0]
        for cell in scorecard["qutibench"]["Statements of the text"].cells
        if cell.agrees
    }
    assert agreed == {"S1", "S2", "S4", "S5", "S6", "S7", "S8", "S9", "S15", "S18", "S19", "S20"}


def test_kernel_bytes_are_those_of_the_public_program():
    """A 3x3 kernel: 9 floats, 3 row pointers, its pointer; sparse: header 40, 4 row starts, pointer, 8 a non-zero."""
    assert dense_kernel(3) == 9 * 4 + 3 * 8 + 8
    assert sparse_kernel(3, 5) == 40 + 4 * 4 + 8 + 5 * 8
    assert dense_kernel(1) == 4 + 8 + 8


def test_plain_memory_of_turner_is_within_a_thousandth(scorecard):
    printed = {"vgg16_cifar10": 111.4, "resnet18_cifar10": 89.0, "mobilenet_v1_cifar10": 69.1}
    for network, mebibytes in printed.items():
        assert memory(PLAIN[network]) / MEBIBYTE == pytest.approx(mebibytes, rel=1e-3)
    assert scorecard["turner"]["Table IV"].agree == 8


def test_implied_sparsity_inverts_the_memory():
    for network in PLAIN:
        for share in (0.0, 0.3, 0.95):
            mebibytes = memory(PLAIN[network], sparsity=share) / MEBIBYTE
            assert implied_sparsity(network, mebibytes) == pytest.approx(share, abs=1e-12)


def test_expected_speedups_of_dlas_agree(scorecard):
    table = scorecard["dlas"]["Expected speed-ups"]
    assert table.agree == len(table.cells) == 8


@pytest.mark.parametrize(
    ("published", "ours", "within", "agrees"),
    [
        (7.7, 7.715946496, 0.0, True),  # rounds to what is printed
        (7.7, 7.76, 0.0, False),
        (100.0, 90.0, 0.1, True),  # on the edge of the tolerance
        (100.0, 89.9, 0.1, False),
        (0.0, 0.001, 0.5, False),  # nothing is within a share of zero
        (5.0, None, 1.0, False),
    ],
)
def test_agreement(published, ours, within, agrees):
    assert compare_cell("cell", published, ours, within=within, why="reason").agrees is agrees


def test_record_counts_its_cells():
    table = Table(
        "t", (Cell("a", 1.0, 1.0, agrees=True), Cell("b", 1.0, 2.0, agrees=False, why="w")), "rule"
    )
    record = table.record()
    assert (record["cells"], record["agree"]) == (2, 1)
    assert record["disagree"] == [{"cell": "b", "published": 1.0, "ours": 2.0, "why": "w"}]


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return stop.value.code, capsys.readouterr()


@pytest.mark.parametrize("paper", studies)
def test_command_writes_json_with_the_scorecard(paper, capsys):
    code, shown = run(capsys, "reproduce", paper, "--format", "json")
    assert code == 0
    document = json.loads(shown.out)
    assert document["schema_version"] == 1
    for entry in document["tables"]:
        assert entry["cells"] == entry["agree"] + len(entry["disagree"])
        assert all(set(cell) >= {"cell", "published", "ours", "why"} for cell in entry["disagree"])


def test_command_writes_every_cell_as_csv(capsys):
    code, shown = run(capsys, "reproduce", "turner", "--format", "csv")
    rows = list(csv.DictReader(shown.out.splitlines()))
    assert code == 0
    assert len(rows) == sum(len(table.cells) for table in reproduce("turner"))


def test_table_shows_the_scorecard_first(capsys):
    _, shown = run(capsys, "reproduce", "dlas")
    assert "Expected speed-ups" in shown.out.splitlines()[3]


def test_unknown_paper_is_one_line(capsys):
    code, shown = run(capsys, "reproduce", "turnr")
    assert code == 2
    assert shown.err.count("\n") == 1
    assert "Did you mean 'turner'" in shown.err
    with pytest.raises(OptionError):
        reproduce("")
