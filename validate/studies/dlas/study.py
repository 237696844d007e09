"""DLAS as a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from roofline.chart import Chart
from roofline.validate.records.record import Measurement
from roofline.validate.studies.cells import Table
from roofline.validate.studies.dlas import published, runs
from roofline.validate.studies.dlas.figures import measured_figures
from roofline.validate.studies.dlas.printed_figures import printed_figures
from roofline.validate.studies.study import Study, studies


def figures(records: Sequence[Measurement] | None = None) -> Mapping[str, Chart]:
    """Return the figures of what is printed and of measured runs; without any, of those shipped."""
    measured = measured_figures(
        runs.compared_configurations(runs.shipped_runs() if records is None else records)
    )
    return {**printed_figures(), **{f"measured_{name}": chart for name, chart in measured.items()}}


def decide(records: Sequence[Measurement], shortest: bool) -> tuple[Table, ...]:
    """Decide the observations from measured runs."""
    return runs.tables(records, shortest=shortest)


studies.add(
    "dlas",
    Study(
        "Gibson et al., DLAS, 2023",
        published.tables,
        figures,
        decide=decide,
        draw_measured=figures,
        campaign="dlas-tuned",
    ),
)
