"""Kernels on blocks compiled for aarch64 compute in qemu what ONNX Runtime computes here; nothing is said of time."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.validate.measuring.backend import backends

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
pytestmark = [
    pytest.mark.tvm,
    pytest.mark.skipif(bool(backends.get("tvm").missing()), reason="TVM is missing"),
    pytest.mark.skipif(
        not (shutil.which(COMPILER) and shutil.which(EMULATOR)),
        reason="needs Debian's gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user",
    ),
]
TARGET = {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72", "mattr": ["+neon"]}

# Calls one kernel as TVM's runtime would, on one thread: tensors from one file, the last of them into another.
DRIVER = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
typedef struct { int32_t device_type, device_id; } Device;
typedef struct { uint8_t code, bits; uint16_t lanes; } Type;
typedef struct {
  void* data; Device device; int32_t ndim; Type dtype; int64_t *shape, *strides; uint64_t offset;
} Tensor;
typedef struct { int32_t type_index; int32_t zero; union { int64_t number; void* pointer; } v; } Any;
typedef struct { void* sync; int32_t tasks; } Group;
typedef int Task(int, Group*, void*);
static int launch(Task* task, void* data, int tasks) {
  Group group = {0, 1};
  return task(0, &group, data);
}
static void* room(int type, int device, uint64_t size, int code, int bits) {
  return aligned_alloc(64, (size + 63) / 64 * 64);
}
static int leave(int type, int device, void* memory) { free(memory); return 0; }
// The runtime writes its functions into these variables of a library that it loads.
extern void *__TVMBackendParallelLaunch, *__TVMBackendAllocWorkspace, *__TVMBackendFreeWorkspace;
void TVMFFIErrorSetRaisedFromCStrParts(const char* kind, const char** parts, int32_t count) {
  for (int i = 0; i < count; ++i) fprintf(stderr, "%s", parts[i]);
  exit(1);
}
int __tvm_ffi_main(void*, Any*, int32_t, Any*);
static int64_t shapes[][6] = SHAPES;
static int32_t ranks[] = RANKS;
int main(int argc, char** argv) {
  int count = sizeof(ranks) / sizeof(*ranks);
  Tensor tensors[16];
  Any given[16], result = {0};
  FILE* file = fopen(argv[1], "rb");
  int64_t size = 0;
  __TVMBackendParallelLaunch = launch;
  __TVMBackendAllocWorkspace = room;
  __TVMBackendFreeWorkspace = leave;
  for (int i = 0; i < count; ++i) {
    size = 1;
    for (int axis = 0; axis < ranks[i]; ++axis) size *= shapes[i][axis];
    Tensor made = {aligned_alloc(64, (4 * size + 63) / 64 * 64), {1, 0}, ranks[i], {2, 32, 1}, shapes[i], 0, 0};
    if (i < count - 1 && fread(made.data, 4, size, file) != size) return 2;
    tensors[i] = made;
    given[i].type_index = 7; given[i].zero = 0; given[i].v.pointer = &tensors[i];
  }
  if (__tvm_ffi_main(0, given, count, &result)) return 3;
  FILE* out = fopen(argv[2], "wb");
  fwrite(tensors[count - 1].data, 4, size, out);
  return fclose(out);
}
"""


def on_aarch64(tvm, function, tensors, folder):
    """Run a kernel with tensors for all its parameters but the last, and return that."""
    shapes = [[int(size) for size in one.ty.shape] for one in function.params]
    module = tvm.IRModule({"main": function.with_attr("global_symbol", "main")})
    library = tvm.tirx.build(module, target=tvm.target.Target(TARGET))
    library.write_to_file(str(folder / "kernel.o"))
    listed = ",".join(
        "{" + ",".join(map(str, (*shape, *[1] * (6 - len(shape))))) + "}" for shape in shapes
    )
    ranks = ",".join(str(len(shape)) for shape in shapes)
    source = DRIVER.replace("SHAPES", "{" + listed + "}").replace("RANKS", "{" + ranks + "}")
    (folder / "driver.c").write_text(source)
    program = folder / "program"
    subprocess.run(
        [COMPILER, "-static", "-w", "-o", program, folder / "driver.c", folder / "kernel.o", "-lm"],
        check=True,
    )  # fmt: skip
    assert [list(array.shape) for array in tensors] == shapes[:-1]
    (folder / "in.bin").write_bytes(b"".join(array.tobytes() for array in tensors))
    subprocess.run([EMULATOR, program, folder / "in.bin", folder / "out.bin"], check=True)
    return np.fromfile(folder / "out.bin", np.float32).reshape(shapes[-1])


def packed(image):
    n, c, h, w = image.shape
    return np.ascontiguousarray(image.reshape(n, c // 4, 4, h, w).transpose(0, 1, 3, 4, 2))


@pytest.mark.parametrize("groups", [1, 16])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolution(groups, stride, tmp_path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the reference needs onnxruntime")
    from roofline.validate.tvm.blocked.schedules import recognize, schedule_kernel
    from roofline.validate.tvm.blocked.tiles import tiles
    from roofline.validate.tvm.importing import import_model
    from roofline.validate.tvm.plan import Computation
    from roofline.validate.tvm.setup import lanes, load_tvm

    tvm = load_tvm()
    random = np.random.default_rng(0)
    weights = random.standard_normal((16, 16 // groups, 3, 3)).astype(np.float32)
    node = helper.make_node(
        "Conv", ["x", "w"], ["y"], pads=[1] * 4, strides=[stride] * 2, group=groups
    )
    size = 8 // stride
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16, size, size])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "model.onnx")
    image = random.standard_normal((1, 16, 8, 8)).astype(np.float32)
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": image})[0]

    target = tvm.target.Target({**TARGET, "num-cores": 1})
    assert lanes(target) == 4
    module = import_model(tmp_path / "model.onnx", target, Computation("blocked")).module
    function, kernel = next(
        (one, recognize(one))
        for _, one in module.functions_items()
        if isinstance(one, tvm.tirx.PrimFunc) and recognize(one) is not None
    )
    from roofline.validate.tvm.blocked.kernels import packed_weights

    given = [packed(image), packed_weights(weights, groups, 4)]
    for tile in tiles(kernel)[:3]:
        result = on_aarch64(tvm, schedule_kernel(function, tile), given, tmp_path)
        assert np.abs(result - packed(expected)).max() <= 1e-5 * np.abs(expected).max()
