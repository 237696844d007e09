"""How a machine is taken to be run: its class, and the runtime that published runs let one expect on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roofline.errors import OptionError, check_known
from roofline.model._expected_data import OFTEN, Parameters, Usage, shipped_parameters
from roofline.model._network_facts import X86_MAKERS, class_of
from roofline.model._run_facts import FAMILIES
from roofline.spec.names import without_mode

if TYPE_CHECKING:
    from roofline.spec import Platform

FEWEST_RUNS = 20
"""A runtime with fewer runs on a class of machines is no basis for an estimate."""


FEWEST_REPORTED = 3
"""Nor is one with fewer that people and vendors report, where a maker's machines have nothing else."""


MAKERS = {
    "hailo": "Hailo", "rknn": "Rockchip", "qaic": "Qualcomm", "htp-onnx": "Qualcomm", "htp-tflite": "Qualcomm",
    "htp-qnn_dlc": "Qualcomm", "trt": "NVIDIA", "dpu": "AMD Xilinx", "edgetpu": "Google", "neuron": "AWS",
    "fastertransformer": "NVIDIA", "ort-trt": "NVIDIA", "tf-trt": "NVIDIA", "paddle-trt": "NVIDIA", "itex": "Intel",
    "ipex": "Intel", "migraphx": "AMD", "openppl": "NVIDIA", "ttnn": "Tenstorrent", "pt-mps": "Apple",
    "coreml": "Apple", "snpe": "Qualcomm", "tidl": "Texas Instruments", "ncsdk": "Intel", "habana-graph": "Intel",
    "opencv-cuda": "NVIDIA", "tkdnn": "NVIDIA", "qnn": "Qualcomm", "acl": "Huawei", "opencv-cann": "Huawei",
    "sophon": "Sophgo", "axengine": "Axera", "drp-ai": "Renesas", "drp-ai-tvm": "Renesas", "synap": "Synaptics",
    "tflite-timvx": "Synaptics", "horizon-bpu": "D-Robotics", "vitisai": "AMD",
}  # fmt: skip
"""Runtimes that run on one maker's machines only."""

INTEL_BEYOND_PROCESSORS = frozenset({"openvino", "openvino-tf"})
"""Runtimes that run on any maker's processors, and else on Intel's machines only."""

NAMES = {
    "tensorrt": "trt", "onnxruntime": "ort", "onnx-runtime": "ort", "pytorch": "pt-eager", "torch": "pt-eager",
    "torch.compile": "pt-compile", "torch-compile": "pt-compile", "vitis-ai": "dpu", "tf": "tensorflow",
}  # fmt: skip
"""What runtimes are called beside their names in the evidence."""

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
    platform: Platform,
    asked: str | None = None,
    parameters: Parameters | None = None,
    given: Sequence[str] = (),
) -> Deployment | None:
    """Return how a machine is taken to be run.

    A machine is of the class of the evidence where it is there, else of that of its kind and segment. By default it
    runs what is fastest of the class and of its maker; a machine of the evidence what is fastest of its own runs where
    those are of its maker's runtime; and one that figures are given of what those are of. None where the evidence is
    too thin.

    Args:
        platform: The machine.
        asked: The runtime asked for.
        parameters: The model's; by default those shipped.
        given: The runtimes of figures that are given of the machine, the most usual first.

    Raises:
        OptionError: No machine like it has the runtime in the evidence, or another maker's alone have it.
    """
    known = parameters or shipped_parameters()
    runs_of = find_kin(platform, known)
    before = None if runs_of is None else known.machines[runs_of]
    name = class_of(platform) if before is None else before.machine_class
    if name is None:
        return None
    if asked is None:
        usual = before.find_fastest(_select_tabled(known.usage.get(name, {}))) if before else None
        best = runtime_for(name, None, known, platform.vendor)
        if best is not None and best[0] != ANY and usual not in MAKERS:
            usual = best[0]
        elif usual is None and before:
            # Nothing is known of its maker's machines but a run or two of its own.
            of_makers = MAKERS.keys() | INTEL_BEYOND_PROCESSORS
            usual = before.find_fastest([x for x in of_makers if other_maker(x, platform) is None])
        named = [runtime for runtime in given if runtime != ANY]
        asked = named[0] if named and usual not in named else usual
    maker = None if asked is None else other_maker(runtime_called(asked), platform)
    if maker is not None:
        raise OptionError(
            f"{asked} is of {maker}'s machines, and {platform.key} is {platform.vendor}'s",
            repair="Leave the runtime out, or name one that its machines have",
        )
    chosen = runtime_for(name, asked, known, platform.vendor)
    if chosen is None:
        return None
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
            alone, that runs of the maker's machines are of; of those that few runs are of where there is none, and
            `ANY` where nothing is known of the maker's machines.
        parameters: The model's; by default those shipped.
        vendor: The machine's maker; by default one whose machines have every runtime.

    Raises:
        OptionError: No machine like it has the runtime in the evidence.
    """
    known = parameters or shipped_parameters()
    usage = known.usage
    own = usage.get(machine_class, {})
    if asked is None:
        ran = [
            machine.runs
            for machine in known.machines.values()
            if machine.machine_class == machine_class and machine.maker == vendor is not None
        ]
        return _choose_runtime(machine_class, own, ran, vendor)
    everywhere = sorted({name for found in usage.values() for name in found})
    asked = runtime_called(asked)
    asked = check_known(asked, everywhere, f"no published run has the runtime {asked!r}")
    if asked in own or not own:
        return (asked, own[asked]) if own else None
    having = {name: found[asked] for name, found in usage.items() if asked in found}
    alike = [name for name in having if FAMILIES[name] == FAMILIES[machine_class]]
    if not alike:
        raise OptionError(
            f"no published run of {asked} is on a machine of the family {FAMILIES[machine_class]}: it runs on "
            f"{' and '.join(sorted({FAMILIES[name] for name in having}))}",
            repair="Leave the runtime out, or name one that such machines have",
        )
    return (asked, having[alike[0]])


def _choose_runtime(
    machine_class: str,
    own: Mapping[str, Usage],
    ran: Sequence[Mapping[str, int]],
    vendor: str | None,
) -> tuple[str, Usage] | None:
    """Return what `runtime_for` does where none is asked for.

    Args:
        machine_class: The class of machines.
        own: What the evidence has of each of its runtimes.
        ran: How many runs each of the maker's machines of the class has with each.
        vendor: The machine's maker; None for one whose machines have every runtime.
    """
    enough = _select_tabled(own)
    machines = Counter(name for runs in ran for name in runs)
    often_run = {
        name for name in machines if sum(runs.get(name, 0) for runs in ran) >= FEWEST_REPORTED
    }
    processor = FAMILIES[machine_class] == "cpu"
    # The software behind one name is another on each maker's accelerators, and one on all processors of a kind.
    theirs = [
        name
        for name in enough
        if vendor is None
        or (MAKERS.get(name, vendor) == vendor and (processor or name in often_run))
    ]
    if machine_class == "cpu" and vendor is not None and vendor not in X86_MAKERS:
        theirs = []
    if theirs:
        widest = max(enough[name].machines for name in theirs)
        often = [name for name in theirs if OFTEN * enough[name].machines >= widest]
        best = max(often, key=lambda name: enough[name].speed)
        return best, enough[best]
    # One maker's accelerators are of several makes: a runtime of that maker alone is on all of them.
    cards = FAMILIES[machine_class] == "gpu"
    reported = [
        name
        for name in machines
        if name in often_run and not processor and (cards or MAKERS.get(name) == vendor)
    ]
    if reported:
        # Few runs do not tell the fastest: what most machines ran.
        best = max(reported, key=lambda name: (machines[name], own[name].speed))
        return best, own[best]
    widest = max(enough, key=lambda name: enough[name].machines, default=None)
    return None if widest is None else (ANY, enough[widest])
