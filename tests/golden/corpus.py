"""The golden corpus: what the command line answers about every shipped network, in files that say where they are from.

``python -P tests/golden/corpus.py`` records all of it again (minutes); with names of verbs, or of networks after a
verb, only those: ``python -P tests/golden/corpus.py predict advise``, ``... compress/mlp``.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import platform
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
MACHINES = ("h100-sxm", "tx2:maxn", "rpi5", "hailo-8", "edgetpu", "zcu102-dpu")
DATATYPES = ("fp32", "fp16", "int8")
COMPRESSIONS = ("fp16", "int8", "w4a16")
PAPERS = ("qutibench", "dlas", "turner")
TOLERANCE = 1e-12
"""Largest relative difference of two floats that are the same."""
DIGITS = 14
"""Significant digits of floats: more are below the tolerance, and the corpus is to stay small."""

LONG = 40
"""Characters from which a text that stands in a file more than once is written once."""

VERBS = ("count", "predict", "advise", "reproduce", "compress")


def networks() -> list[str]:
    """Return the names of the shipped networks."""
    from roofline import workloads

    return list(workloads.networks)


def cases(verb: str) -> list[str]:
    """Return the names of a verb's cases: a paper's, or a network's."""
    return list(PAPERS) if verb == "reproduce" else networks()


def answer(verb: str, name: str) -> dict[str, Any]:
    """Return what a verb says now about a network or a paper, by the rest of the command line."""
    return dict(_ASK[verb](name))


def load(verb: str) -> dict[str, Any]:
    """Return the recorded answers of a verb by case."""
    recorded = json.loads((FOLDER / f"{verb}.json").read_text())
    texts = recorded.get("texts", [])
    return {name: _opened(entry, texts) for name, entry in recorded["cases"].items()}


def differences(recorded: Any, now: Any, where: str = "") -> Iterator[str]:
    """Yield each place where two documents differ: keys and strings at all, floats beyond the tolerance."""
    if isinstance(recorded, dict) and isinstance(now, dict):
        for key in recorded.keys() | now.keys():
            if key not in now:
                yield f"{where}/{key} is gone"
            elif key not in recorded:
                yield f"{where}/{key} is new"
            else:
                yield from differences(recorded[key], now[key], f"{where}/{key}")
    elif isinstance(recorded, list) and isinstance(now, list):
        if len(recorded) != len(now):
            yield f"{where} has {len(now)} entries, not {len(recorded)}"
        for place, (old, new) in enumerate(zip(recorded, now, strict=False)):
            yield from differences(old, new, f"{where}[{place}]")
    elif type(recorded) is not type(now):
        yield f"{where} is {now!r}, not {recorded!r}"
    elif isinstance(recorded, float):
        if not math.isclose(recorded, now, rel_tol=TOLERANCE):
            yield f"{where} is {now!r}, not {recorded!r}"
    elif recorded != now:
        yield f"{where} is {now!r}, not {recorded!r}"


def update(verb: str, names: list[str]) -> None:
    """Record a verb's answers for some cases and keep the others; the file is written whole."""
    path = FOLDER / f"{verb}.json"
    kept = load(verb) if path.exists() else {}
    for name in names:
        sys.stderr.write(f"{verb} {name}\n")
        kept[name] = answer(verb, name)
    meta = {
        "what": f"roofline {verb} --format json, networks or papers by command line",
        "command": f"python -P tests/golden/corpus.py {verb}",
        "commit": _git("rev-parse", "--short", "HEAD"),
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "tolerance": TOLERANCE,
    }
    closed = {name: _closed(kept[name]) for name in cases(verb) if name in kept}
    often = Counter(_long_texts(closed))
    texts = {text: place for place, text in enumerate(text for text, n in often.items() if n > 1)}
    lines = ",\n".join(
        f"{json.dumps(name)}:{_compact(_referred(entry, texts))}" for name, entry in closed.items()
    )
    said = ",\n".join(map(_compact, texts))
    path.write_text(
        f'{{"_meta":{json.dumps(meta)},\n"texts":[\n{said}\n],\n"cases":{{\n{lines}\n}}}}\n'
    )


def _count(network: str) -> Iterator[tuple[str, Any]]:
    for datatype in DATATYPES:
        document = _said("count", network, "--layers", "-d", datatype)
        layers = document["json"]["layers"]
        # A column of a thousand layers is told by its sum; names and shapes by a digest.
        document["json"]["layers"] = {
            column: _summary([layer[column] for layer in layers]) for column in layers[0]
        }
        yield f"-d {datatype}", document


def _predict(network: str) -> Iterator[tuple[str, Any]]:
    machines = [word for machine in MACHINES for word in ("-p", machine)]
    datatypes = [word for datatype in DATATYPES for word in ("-d", datatype)]
    yield "equation1", _said("predict", network, *machines, *datatypes, "--model", "equation1")
    yield (
        "layerwise",
        _said("predict", network, *machines, *datatypes, "--model", "layerwise", "-b", "8"),
    )
    resident = ("--model", "equation1", "--traffic", "resident", "--emulate")
    yield "resident", _said("predict", network, *machines, "-d", "int8", *resident)


def _advise(network: str) -> Iterator[tuple[str, Any]]:
    machines = [word for machine in MACHINES for word in ("-p", machine)]
    for datatype in DATATYPES:
        asked = ("--min-fps", "100", "--max-watts", "20", "--max-price", "300", "-d", datatype)
        yield f"-d {datatype}", _said("advise", network, *asked, *machines)


def _reproduce(paper: str) -> Iterator[tuple[str, Any]]:
    yield "", _said("reproduce", paper)


def _compress(network: str) -> Iterator[tuple[str, Any]]:
    for datatype in COMPRESSIONS:
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "written.onnx")
            document = _said("compress", network, "-d", datatype, "-o", path)
        if document["json"]:
            document["json"]["file"] = "written.onnx"
        yield f"-d {datatype}", document


_ASK: dict[str, Callable[[str], Iterator[tuple[str, Any]]]] = {
    "count": _count,
    "predict": _predict,
    "advise": _advise,
    "reproduce": _reproduce,
    "compress": _compress,
}


def _said(*words: str) -> dict[str, Any]:
    from roofline.cli import main

    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([*words, "--format", "json"])
        except SystemExit as stopped:
            code = stopped.code or 0
    return {
        "code": code,
        "json": json.loads(out.getvalue()) if out.getvalue() else None,
        "err": err.getvalue(),
    }


def _summary(values: list[Any]) -> Any:
    numbers = [value for value in values if isinstance(value, (int, float))]
    if numbers and all(isinstance(value, (int, float)) or value is None for value in values):
        places = sum((place % 97 + 1) * value for place, value in enumerate(numbers))
        return {"n": len(numbers), "sum": sum(numbers), "by_place": places}
    text = json.dumps(values, ensure_ascii=False)
    return f"{len(values)} {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _closed(value: Any) -> Any:
    """Return a document with lists of like rows as tables, their keys once, and no more digits than are compared."""
    if isinstance(value, dict):
        return {key: _closed(entry) for key, entry in value.items()}
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if not isinstance(value, list):
        return value
    if len(value) > 1 and all(isinstance(row, dict) for row in value):
        keys = list(value[0])
        if all(list(row) == keys for row in value):
            return {
                "#": keys,
                "rows": [[_closed(entry) for entry in row.values()] for row in value],
            }
    return [_closed(entry) for entry in value]


def _long_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and len(value) >= LONG:
        yield value
    elif isinstance(value, (dict, list)):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _long_texts(entry)


def _referred(value: Any, texts: Mapping[str, int]) -> Any:
    """Return a document with long texts that stand in it again and again as places in a list of them."""
    if isinstance(value, str):
        return {"@": texts[value]} if value in texts else value
    if isinstance(value, dict):
        return {key: _referred(entry, texts) for key, entry in value.items()}
    return [_referred(entry, texts) for entry in value] if isinstance(value, list) else value


def _opened(value: Any, texts: Sequence[str]) -> Any:
    if isinstance(value, dict):
        if list(value) == ["@"]:
            return texts[value["@"]]
        if list(value) == ["#", "rows"]:
            return [
                dict(zip(value["#"], (_opened(entry, texts) for entry in row), strict=True))
                for row in value["rows"]
            ]
        return {key: _opened(entry, texts) for key, entry in value.items()}
    return [_opened(entry, texts) for entry in value] if isinstance(value, list) else value


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=FOLDER, capture_output=True, text=True, check=False)
    return done.stdout.strip()


if __name__ == "__main__":
    for asked in sys.argv[1:] or VERBS:
        verb, _, name = asked.partition("/")
        update(verb, [name] if name else cases(verb))
