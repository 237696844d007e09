"""How a machine is taken to be run: its class, and the runtime that published runs let one expect on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roofline.errors import OptionError, check_known
from roofline.model._expected_data import OFTEN, Parameters, Usage, shipped_parameters
from roofline.model._network_facts import class_of
from roofline.spec.names import without_mode

if TYPE_CHECKING:
    from roofline.spec import Platform

FEWEST_RUNS = 20
"""A runtime with fewer runs on a class of machines is no basis for an estimate."""


MAKERS = {
    "hailo": "Hailo", "rknn": "Rockchip", "qaic": "Qualcomm", "htp-onnx": "Qualcomm", "htp-tflite": "Qualcomm",
    "htp-qnn_dlc": "Qualcomm", "trt": "NVIDIA", "dpu": "AMD Xilinx", "edgetpu": "Google", "neuron": "AWS",
    "fastertransformer": "NVIDIA", "ort-trt": "NVIDIA", "tf-trt": "NVIDIA", "paddle-trt": "NVIDIA", "itex": "Intel",
    "ipex": "Intel", "migraphx": "AMD", "ttnn": "Tenstorrent", "pt-mps": "Apple", "coreml": "Apple",
}  # fmt: skip
"""Runtimes that run on one maker's machines only."""

INTEL_BEYOND_PROCESSORS = frozenset({"openvino", "openvino-tf"})
"""Runtimes that run on any maker's processors, and else on Intel's machines only."""

X86_MAKERS = frozenset({"Intel", "AMD"})
"""Makers whose processors have the instructions of the machines that published runs of processors (``cpu``) are of."""

NAMES = {
    "tensorrt": "trt", "onnxruntime": "ort", "onnx-runtime": "ort", "pytorch": "pt-eager", "torch": "pt-eager",
    "torch.compile": "pt-compile", "torch-compile": "pt-compile", "vitis-ai": "dpu", "tf": "tensorflow",
}  # fmt: skip
"""What runtimes are called beside their names in the evidence."""

ELSEWHERE: Mapping[str, frozenset[str]] = {"Apple": frozenset({"pt-eager", "pt-compile"})}
"""Runtimes by maker that its machines have under a name of their own."""

ANY = "any"
"""The runtime of a machine whose maker's own published runs do not know: what is common to its class."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """How a machine is taken to be run."""

    machine_class: str
    runtime: str
    usage: Usage
    """What the evidence has of the runtime on the class."""
    cores: float
    runs_of: str | None
    """The machine of the evidence whose runs tell of this one: itself, or another mode or form; None for none."""


def deployment(
    platform: Platform, asked: str | None = None, parameters: Parameters | None = None
) -> Deployment | None:
    """Return how a machine is taken to be run.

    A machine is of the class of the evidence where it is there, else of that of its kind and segment. By default it
    runs what is fastest of the class and of its maker; a machine of the evidence what is fastest of its own runs where
    those are of its maker's runtime. None where the evidence is too thin.

    Args:
        platform: The machine.
        asked: The runtime asked for.
        parameters: The model's; by default those shipped.

    Raises:
        OptionError: No machine of any class has the runtime in the evidence, or another maker's alone have it.
    """
    known = parameters or shipped_parameters()
    runs_of = find_kin(platform, known)
    before = None if runs_of is None else known.machines[runs_of]
    name = class_of(platform) if before is None else before.machine_class
    if name is None:
        return None
    if asked is None and before:
        asked = before.find_fastest(_select_tabled(known.usage.get(name, {})))
        best = runtime_for(name, None, known, platform.vendor)
        if best is not None and best[0] != ANY and asked not in MAKERS:
            asked = best[0]
    chosen = runtime_for(name, asked, known, platform.vendor)
    if chosen is None:
        return None
    if asked is None and before and chosen[0] == ANY:
        # Nothing is published of the maker's machines but what reports of this one say.
        own = [runtime for runtime, maker in MAKERS.items() if maker == platform.vendor]
        reported = before.find_fastest(own)
        chosen = chosen if reported is None else runtime_for(name, reported, known) or chosen
    maker = other_maker(chosen[0], platform)
    if maker is not None:
        raise OptionError(
            f"{chosen[0]} is of {maker}'s machines, and {platform.key} is {platform.vendor}'s",
            repair="Leave the runtime out, or name one that its machines have",
        )
    runtime, usage = chosen
    cores = usage.cores if before is None else before.cores
    return Deployment(name, runtime, usage, cores, runs_of)


def find_kin(platform: Platform, known: Parameters) -> str | None:
    """Return the machine of the evidence whose runs tell of a platform; None for none.

    Itself where it is there; else another mode of it, or a form whose name goes on where the other's ends
    (``orin-nx`` and ``orin-nx-8gb``): of such the one with most runs. Machines of the evidence whose mode, form or
    generation alone differs, estimated by one another, are estimated within 1.13 by rows and 1.29 over machines, and
    1.32 and 1.37 without (`benchmarks/kin_machines.py`).
    """
    machines = known.machines
    if platform.key in machines:
        return platform.key
    base, name = without_mode(platform.key), class_of(platform)
    alike = [key for key, runs in machines.items() if runs.machine_class == name]
    modes = [key for key in alike if without_mode(key) == base]
    forms = [key for key in alike if are_forms(without_mode(key), base)]
    return max(modes or forms, key=lambda key: sum(machines[key].runs.values()), default=None)


def are_forms(one: str, other: str) -> bool:
    """Return whether the name of one machine goes on where that of the other ends."""
    return one.startswith(f"{other}-") or other.startswith(f"{one}-")


def runtime_called(name: str) -> str:
    """Return what the evidence calls a runtime: its own name, or another that people have for it."""
    return NAMES.get(name.casefold(), name)


def other_maker(runtime: str, platform: Platform) -> str | None:
    """Return the maker whose machines alone a runtime runs on, where the platform is another's; else None."""
    maker = MAKERS.get(runtime)
    if runtime in INTEL_BEYOND_PROCESSORS and platform.kind != "cpu":
        maker = "Intel"
    return None if maker == platform.vendor else maker


def _select_tabled(usage: Mapping[str, Usage]) -> dict[str, Usage]:
    """Return the runtimes that published tables have runs enough of."""
    return {name: found for name, found in usage.items() if found.runs >= FEWEST_RUNS}


def runtime_for(
    machine_class: str,
    asked: str | None = None,
    parameters: Parameters | None = None,
    vendor: str | None = None,
) -> tuple[str, Usage] | None:
    """Return the runtime of an estimate and what the evidence has of it; None where that is too thin.

    Args:
        machine_class: The class of machines.
        asked: The runtime asked for; by default the fastest of the class, with enough runs and not on few machines
            alone, that the maker's machines have, and `ANY` where there is none.
        parameters: The model's; by default those shipped.
        vendor: The machine's maker; by default one whose machines have every runtime.

    Raises:
        OptionError: No machine of any class has the runtime in the evidence.
    """
    usage = (parameters or shipped_parameters()).usage
    own = usage.get(machine_class, {})
    if asked is None:
        enough = _select_tabled(own)
        not_theirs = ELSEWHERE.get(vendor or "", frozenset())
        theirs = [
            name
            for name in enough
            if vendor is None or (MAKERS.get(name, vendor) == vendor and name not in not_theirs)
        ]
        if machine_class == "cpu" and vendor is not None and vendor not in X86_MAKERS:
            theirs = []
        if theirs:
            widest = max(enough[name].machines for name in theirs)
            often = [name for name in theirs if OFTEN * enough[name].machines >= widest]
            best = max(often, key=lambda name: enough[name].speed)
            return best, enough[best]
        reported = [name for name in own if not_theirs and MAKERS.get(name) == vendor]
        if reported:
            best = max(reported, key=lambda name: own[name].speed)
            return best, own[best]
        widest = max(enough, key=lambda name: enough[name].machines, default=None)
        return None if widest is None else (ANY, enough[widest])
    everywhere = sorted({name for found in usage.values() for name in found})
    asked = runtime_called(asked)
    asked = check_known(asked, everywhere, f"no published run has the runtime {asked!r}")
    if asked in own:
        return (asked, own[asked])
    others = [found for name in usage.values() for key, found in name.items() if key == asked]
    return (asked, others[0]) if own else None
