"""Names under which networks of one name are told apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def labels(names: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Return names that differ: where two are the same, with as many of their folders as tell them apart.

    Example:
        >>> labels(["model", "model", "mlp"], ["x/model.onnx", "y/model.onnx", "mlp"])
        ['x/model', 'y/model', 'mlp']
    """
    made = list(names)
    for place, name in enumerate(names):
        others = [i for i, other in enumerate(names) if other == name and i != place]
        if not others:
            continue
        folders = [Path(path).resolve().parts[:-1] for path in paths]
        for depth in range(1, len(folders[place]) + 1):
            mine = folders[place][-depth:]
            if all(folders[other][-depth:] != mine for other in others):
                made[place] = "/".join([*mine, name])
                break
    return made
