"""Which form a file of runs has is decided once, by its first bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from roofline.errors import TableError
from roofline.validate.evidence import published, served, single_user
from roofline.validate.evidence.forms import COMPARED, Form, read_source

HEADS = {
    Form.STORE: b"SQLite format 3\0",
    Form.DOCUMENT: b' \n{"measurements": []}',
    Form.RECORDS: b"network,record\n",
    Form.COMPARISONS: ",".join(sorted(COMPARED)).encode(),
    Form.PUBLISHED: ",".join([*published.COLUMNS, "record"]).encode(),
    Form.SERVED: ",".join(sorted(served.COLUMNS)).encode(),
    Form.SINGLE_USER: ",".join(sorted(single_user.COLUMNS)).encode(),
    Form.RATES: b"platform,network,datatype,latency_ms\n",
    Form.OTHER: b"machine,network,datatype\n",
}


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "marked"])
def test_a_file_is_known_by_its_first_bytes(form: Form, mark: bytes, tmp_path: Path) -> None:
    path = tmp_path / "runs"
    path.write_bytes(HEADS[form] if form is Form.STORE else mark + HEADS[form])
    assert read_source(path).form is form


def test_only_records_and_comparisons_with_them_are_recorded() -> None:
    recorded = {form for form in Form if form.recorded}
    assert recorded == {Form.STORE, Form.DOCUMENT, Form.RECORDS, Form.COMPARISONS}
    assert not any(form.of_decoders for form in recorded)


def test_text_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_bytes(b"machine,fps\ncaf\xe9,1\n")
    with pytest.raises(TableError, match="line 2 is not UTF-8"):
        _ = read_source(path).table
