"""Turner et al. as a study."""

from __future__ import annotations

from collections.abc import Mapping

from roofline.chart import Chart, Options, charts
from roofline.validate.studies.networks import requirements
from roofline.validate.studies.study import Study, studies
from roofline.validate.studies.turner.published import tables

NETWORKS = ("vgg16_cifar10", "resnet18_cifar10", "mobilenet_v1_cifar10")


def figures() -> Mapping[str, Chart]:
    """Return what the networks require, drawn."""
    rows = [
        {"network": key, "ops": requirements(key).ops, "parameters": requirements(key).weights}
        for key in NETWORKS
    ]
    title = "Operations and weights of the networks of Turner et al."
    return {"requirements": charts.get("requirements").compute(rows, Options(title=title))}


studies.add("turner", Study("Turner et al., IISWC 2018", tables, figures))
