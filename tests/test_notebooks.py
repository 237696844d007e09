"""Every notebook runs from top to bottom as it stands."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.notebook
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, tmp_path: Path) -> None:
    nbformat: Any = pytest.importorskip(
        "nbformat", reason="running notebooks needs nbclient and ipykernel"
    )
    nbclient: Any = pytest.importorskip(
        "nbclient", reason="running notebooks needs nbclient and ipykernel"
    )
    notebook = nbformat.read(path, as_version=4)
    with warnings.catch_warnings():
        # What the kernel's own machinery warns about is not ours; warnings inside the notebook stand in its output.
        warnings.simplefilter("ignore")
        client = nbclient.NotebookClient(
            notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}
        )
        client.execute()
    shown = [
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
    ]
    assert not any("Warning" in text for text in shown)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_small_and_starts_with_prose(path: Path) -> None:
    import json

    notebook = json.loads(path.read_text())
    assert notebook["cells"][0]["cell_type"] == "markdown"
    assert path.stat().st_size < 400_000
    # Logic belongs in the library.
    code = "\n".join(
        "".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"
    )
    assert "def " not in code
    assert "class " not in code
