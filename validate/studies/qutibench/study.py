"""QuTiBench as a study."""

from __future__ import annotations

from roofline.validate.studies.qutibench.figures import qutibench_figures
from roofline.validate.studies.qutibench.published import tables
from roofline.validate.studies.qutibench.report import qutibench_report
from roofline.validate.studies.study import Study, studies

studies.add(
    "qutibench",
    Study(
        "Blott et al., IEEE Transactions on Computers 70(10), 2021",
        tables,
        lambda: qutibench_figures(None),
        figures_of=qutibench_figures,
        report=qutibench_report,
    ),
)
