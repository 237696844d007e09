"""A compiled program in TVM's virtual machine, here or on a board."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from roofline.node import Array
from roofline.validate.measuring.backend import Arrays


class Program:
    """A program whose inputs are bound once and which is run as often as wanted.

    Args:
        executable: What the compiler made, or the library that a board has loaded.
        device: Where it runs, as TVM calls it.
        names: The program's parameters, in order.
        weights: What it takes behind its inputs.
    """

    def __init__(
        self, executable: Any, device: Any, names: Sequence[str], weights: Sequence[Any] = ()
    ) -> None:
        relax: Any = importlib.import_module("tvm.relax")
        self.machine: Any = relax.VirtualMachine(executable, device)
        self._device = device
        self._names = list(names)
        self._weights = list(weights)

    def bind(self, inputs: Arrays) -> None:
        """Copy the inputs to the device."""
        from roofline.validate.tvm.importing import by_position

        tvm: Any = importlib.import_module("tvm")
        arrays = by_position(inputs, self._names)
        tensors = [tvm.runtime.tensor(array, self._device) for array in arrays]
        self.machine.set_input("main", *tensors, *self._weights)

    def step(self) -> None:
        """Run once."""
        self.machine.invoke_stateful("main")

    def outputs(self) -> Sequence[Array]:
        """Return the outputs of the last run."""
        result = self.machine.get_outputs("main")
        return [result.numpy()] if hasattr(result, "numpy") else [part.numpy() for part in result]
