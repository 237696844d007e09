"""A third party's backend that does what it is told: run, crash, hang, eat memory, or compute nonsense."""

from __future__ import annotations

import os
import time

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from roofline.validate.measuring.backend import Artifact, Capabilities, backends


class FakeSession:
    def __init__(self, request):
        self.mode = request.job.options.get("mode", "ok")
        self.model = ReferenceEvaluator(onnx.load(request.model))

    def bind(self, inputs):
        self.inputs = dict(inputs)

    def step(self):
        if self.mode == "crash":
            os.abort()
        if self.mode == "killed":
            os.kill(os.getpid(), 9)
        if self.mode == "hang":
            time.sleep(3600)
        if self.mode == "allocate":
            held = []
            while True:
                held.append(np.ones(8 << 20))
        if self.mode == "refused":
            np.ones(1 << 60, np.uint8)
        if self.mode == "exit":
            raise SystemExit(7)
        if self.mode == "raise":
            raise ValueError("no such kernel")
        self.result = self.model.run(None, self.inputs)

    def outputs(self):
        if self.mode == "wrong":
            return [array + 1 for array in self.result]
        if self.mode == "shape":
            return [array[..., :-1] for array in self.result]
        if self.mode == "nan":
            return [np.full_like(array, np.nan) for array in self.result]
        return self.result


class FakeBackend:
    title = "fake"
    capabilities = Capabilities()

    def missing(self):
        return ""

    def environment(self, job):
        return {"FAKE_THREADS": str(job.threads)}

    def versions(self):
        return {"fake": "1", "threads seen": os.environ.get("FAKE_THREADS", "")}

    def prepare(self, request, report):
        report("preparing", 1, 2)
        if request.job.options.get("mode") == "crash while preparing":
            os.abort()
        return Artifact(request.model, compiled_for="nothing")

    def load(self, request, artifact):
        return FakeSession(request)


backends.add("fake", FakeBackend())
