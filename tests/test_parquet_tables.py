"""What a sweep wrote as Parquet is shown like what it wrote as CSV, and what is no Parquet is said to be none."""

from __future__ import annotations

from pathlib import Path

import pytest

from roofline import parquet
from roofline.chart import read_rows
from roofline.cli._report import gather
from roofline.errors import TableError
from roofline.report import load_rows

from .cli_process import answered

pytest.importorskip("pyarrow")

SWEEP = """schema_version: 1
networks: [cnv, mlp]
platforms: [t4, a10]
datatypes: [fp16, int8]
batches: [1, 8]
"""


@pytest.fixture
def swept(tmp_path: Path, capsys) -> Path:
    """Return a folder with one sweep as CSV, as Parquet, and as a folder of parts."""
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    for name in ("all.csv", "all.parquet", "parts"):
        assert (
            answered(capsys, "sweep", str(tmp_path / "sweep.yaml"), "-o", str(tmp_path / name))[0]
            == 0
        )
    return tmp_path


@pytest.mark.parametrize("name", ["all.parquet", "parts"])
def test_rows_of_parquet_are_those_of_csv(swept: Path, name: str) -> None:
    written = load_rows(swept / "all.csv")
    read = load_rows(swept / name)
    assert len(read) == len(written) == 16
    for one, other in zip(read, written, strict=True):
        assert one.keys() == other.keys()
        for column, value in one.items():
            if isinstance(value, float):
                assert other[column] == pytest.approx(value, rel=1e-9)
            else:
                assert other[column] == value
    assert len(read_rows(swept / name)) == 16
    page = gather([str(swept / name)], "")
    assert {row["platform"] for row in page.rows} == {"t4", "a10"}
    assert page.roofs == gather([str(swept / "all.csv")], "").roofs


@pytest.mark.parametrize("verb", [("report",), ("plot", "roofline")])
def test_what_is_no_parquet_is_said(swept: Path, capsys, verb: tuple[str, ...]) -> None:
    whole = (swept / "all.parquet").read_bytes()
    for name, content in (
        ("cut.parquet", whole[: len(whole) // 2]),
        ("text.parquet", b"network,platform\n"),
        ("empty.parquet", b""),
        ("noend", whole[:-8]),
    ):
        (swept / name).write_bytes(content)
        code, out, err = answered(
            capsys,
            *verb,
            str(swept / name),
            "-o",
            str(swept / ("x.svg" if verb[0] == "plot" else "x.html")),
        )
        assert (code, out) == (2, "")
        assert f"{name} cannot be read as Parquet" in err
        assert err.count("\n") == 1


def test_a_folder_needs_parquet_files_and_a_sweep_of_any_size_is_not_shown(
    swept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (swept / "none").mkdir()
    with pytest.raises(TableError, match="a folder without Parquet files"):
        load_rows(swept / "none")
    (part,) = (swept / "parts").glob("part-*.parquet")
    (swept / "gap").mkdir()
    for place in (0, 2):
        (swept / "gap" / f"part-{place:08d}.parquet").write_bytes(part.read_bytes())
    with pytest.raises(TableError, match="lacks part 1 of a sweep, and has part 2"):
        load_rows(swept / "gap")
    monkeypatch.setattr(parquet, "MOST_ROWS", 15)
    with pytest.raises(TableError, match="16 rows, and at most 15"):
        load_rows(swept / "parts")


@pytest.mark.parametrize("ending", ["parquet", "xlsx", "html", "png"])
def test_a_result_is_not_written_under_the_name_of_another_format(
    tmp_path: Path, capsys, ending: str
) -> None:
    path = tmp_path / f"out.{ending}"
    code, _, err = answered(capsys, "predict", "cnv", "-p", "t4", "-o", str(path))
    assert code == 2
    assert "End its name in .json, .csv, .md, .txt" in err
    assert not path.exists()


@pytest.mark.parametrize(
    ("renamed", "said"), [("network", "no column 'network'"), ("x", "a column 'note'")]
)
def test_a_part_of_another_table_is_named(swept: Path, renamed: str, said: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = swept / "parts" / "part-00000000.parquet"
    table = pq.read_table(first).rename_columns({"network": "zoo"} if renamed == "network" else {})
    if renamed == "x":
        table = table.append_column("note", pa.array(["mine"] * len(table)))
    pq.write_table(table, first.with_name("part-00000001.parquet"))
    for read in (load_rows, read_rows):
        with pytest.raises(
            TableError, match=rf"part-00000001.parquet has {said}, unlike part-00000000"
        ):
            read(swept / "parts")
