"""Execute notebooks and store them with their outputs and nothing else.

Run: python benchmarks/run_notebook.py notebooks/06_dlas.ipynb    (needs nbclient and ipykernel)
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any


def run_notebook(path: Path) -> None:
    """Execute a notebook in place."""
    nbformat: Any = importlib.import_module("nbformat")
    nbclient: Any = importlib.import_module("nbclient")
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600).execute()
    for cell in notebook.cells:
        cell.metadata = {}
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        run_notebook(Path(argument))
