"""The demo's files: charts, the table of predicted against measured, and one page that shows it all."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from roofline.errors import MissingPackageError
from roofline.markdown import markdown_records
from roofline.number_format import number
from roofline.tables import Record
from roofline.tables import Row as TableRow
from roofline.validate.demo.run import Demo
from roofline.writing import write_whole

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0;font-size:.9rem}th,td{padding:.25rem .7rem;text-align:right;
border-bottom:1px solid #ddd}th:first-child,td:first-child,td.word,th.word{text-align:left}
td.word:last-child{min-width:16rem}
.wide{overflow-x:auto}img{max-width:100%;height:auto}h2{margin-top:2.5rem}.note{color:#666;font-size:.9rem}
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}th,td{border-color:#444}
img{background:#fff;padding:.5rem}}
"""

Row = Mapping[str, str]


def write_demo(demo: Demo, folder: Path) -> list[Path]:
    """Write everything the demo found.

    Args:
        demo: What was counted, predicted and measured.
        folder: Where to; made when it is absent.

    Returns:
        The files, the page first. Charts are left out, with a note on the page, where matplotlib is
        not installed.
    """
    import yaml

    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []

    def write(name: str, text: str) -> None:
        write_whole(folder / name, text.encode())
        files.append(folder / name)

    write(f"{demo.document['key']}.yaml", yaml.safe_dump(demo.document, sort_keys=False))
    write("validate.json", _json(demo))
    table = comparison_rows(demo)
    write("predicted-vs-measured.md", markdown(table))
    charts, notes = _draw(demo, folder)
    files += charts
    write("index.html", _page(demo, table, charts, [*demo.notes, *notes]))
    return [files[-1], *files[:-1]]


def comparison_rows(demo: Demo) -> list[Row]:
    """Return predicted against measured, formatted: one row per run."""
    rows: list[Row] = []
    for entry in demo.comparisons:
        record = entry.record()
        efficiency = entry.efficiency
        explained = record["explanation"] if record["status"] == "ok" else ""
        rows.append(
            {
                "network": record["network"],
                "runs on": record["backend"],
                "predicted fps": number(record["predicted_fps"], 3) or "–",
                "measured fps": number(record["measured_fps"], 3) or "–",
                "measured / predicted": "–" if efficiency is None else f"{efficiency:.0%}",
                "bound": record["bound"],
                "remark": "; ".join(part for part in (record["flags"], explained) if part),
            }
        )
    return rows


def requirement_rows(demo: Demo) -> list[Row]:
    """Return what each network requires, formatted."""
    return [
        {
            "network": entry.name,
            "GMAC": number(entry.macs / 1e9, 3),
            "M parameters": number(entry.parameters / 1e6, 3),
            "weights MB": number(entry.weight_bytes / 1e6, 3),
            "peak activations MB": number(entry.peak_activation_bytes / 1e6, 3),
        }
        for entry in demo.workloads
    ]


def prediction_rows(demo: Demo) -> list[Row]:
    """Return the predicted throughput of every network on every machine, formatted."""
    networks = [entry.name for entry in demo.workloads]
    speeds: dict[tuple[str, str], dict[str, str]] = {}
    for entry in demo.predictions:
        place = speeds.setdefault((entry.platform, entry.datatype), {})
        place[entry.network] = f"{number(entry.throughput_fps, 3) or '–'} ({entry.bound.value})"
    return [
        {
            "machine": machine,
            "datatype": datatype,
            **{name: found.get(name, "–") for name in networks},
        }
        for (machine, datatype), found in speeds.items()
    ]


def markdown(rows: Sequence[Row]) -> str:
    """Return rows as a Markdown table."""
    return f"{markdown_records(rows) if rows else 'nothing was measured'}\n"


def _json(demo: Demo) -> str:
    document = {
        "schema_version": 1,
        "comparisons": [entry.record() for entry in demo.comparisons],
        "predictions": [entry.record() for entry in demo.predictions],
        "measurements": [{**run.to_row(), **run.to_dict()} for run in demo.measurements],
        "roofs": [asdict(roofs) for roofs in demo.roofs],
        "seconds": demo.seconds,
    }
    return json.dumps(document, indent=1, default=str)


def _draw(demo: Demo, folder: Path) -> tuple[list[Path], list[str]]:
    from roofline.chart import Options, charts, save

    wanted: tuple[tuple[str, Sequence[TableRow], str], ...] = (
        ("efficiency", [c.record() for c in demo.comparisons], "Predicted and measured here"),
        ("roofline", _points(demo), "This machine's roofline"),
    )
    files: list[Path] = []
    try:
        for kind, rows, title in wanted:
            figure = charts.get(kind).compute(rows, Options(title=title)).figure()
            for suffix in (".png", ".svg"):
                path = folder / f"{kind}{suffix}"
                save(figure, path)
                files.append(path)
    except MissingPackageError as error:
        return files, [f"no charts: {error}"]
    return files, []


def _points(demo: Demo) -> list[Record]:
    """Each network once: its prediction here, and its fastest run."""
    best: dict[str, Record] = {}
    for entry in demo.comparisons:
        if not entry.validates:
            continue
        record = entry.record()
        record.pop("backend")
        known = best.get(record["network"])
        if known is None or record["measured_fps"] > known["measured_fps"]:
            best[record["network"]] = record
    here = [entry.record() for entry in demo.predictions if entry.platform == demo.machine.key]
    return [best.get(record["network"], record) for record in here]


def _page(demo: Demo, table: Sequence[Row], charts: Sequence[Path], notes: Sequence[str]) -> str:
    parts = [
        f"<p>On {html.escape(str(demo.document['name']))}, in {demo.seconds:.0f} s. Predictions are bounds by "
        "Equation 1 (Blott et al. 2021): the lower of peak performance and bandwidth times intensity. "
        "Untuned TVM code says nothing about the machine; it is there to show what tuning is worth.</p>",
        "<h2>Predicted and measured here</h2>",
        _image(charts, "efficiency"),
        _table(table),
        _image(charts, "roofline"),
        "<h2>Predicted frames per second on other machines</h2>",
        _table(prediction_rows(demo)),
        "<h2>What the networks require, for one item</h2>",
        _table(requirement_rows(demo)),
        *(f'<p class="note">{html.escape(note)}</p>' for note in notes),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>roofline demo</title>'
        f"<style>{_STYLE}</style></head><body><h1>roofline demo</h1>{''.join(parts)}</body></html>\n"
    )


def _image(charts: Sequence[Path], name: str) -> str:
    path = next((path for path in charts if path.name == f"{name}.png"), None)
    if path is None:
        return ""
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{name} chart" src="data:image/png;base64,{data}">'


def _table(rows: Sequence[Row]) -> str:
    if not rows:
        return "<p>nothing</p>"
    # Words stand at the left, numbers at the right.
    look = {
        name: "" if any(row[name][:1].isdigit() for row in rows) else ' class="word"'
        for name in rows[0]
    }
    header = "".join(f"<th{look[name]}>{html.escape(name)}</th>" for name in rows[0])
    body = "".join(
        f"<tr>{''.join(f'<td{look[name]}>{html.escape(cell)}</td>' for name, cell in row.items())}</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table></div>'
