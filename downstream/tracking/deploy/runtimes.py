"""A graph's file, ready to run on a given number of threads of the CPU: tensors in, tensors out."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from downstream.tracking.deploy.packages import need

Graph = Callable[[Sequence[Tensor]], list[Tensor]]


def open_graph(path: Path, precision: str, threads: int) -> Graph:
    """By the ending of the file; precision: one of `graphs.PRECISIONS`.

    TorchScript runs on torch's own threads. UserError where the runtime is not installed.
    """
    if path.suffix == '.onnx':
        return _onnx(path, threads)
    if path.suffix == '.xml':
        return _openvino(path, precision, threads)
    return in_torch(torch.jit.load(path))


def in_torch(module: Callable[..., Any]) -> Graph:
    """A module, scripted or not."""

    @torch.inference_mode()
    def run(inputs: Sequence[Tensor]) -> list[Tensor]:
        return list(module(*inputs))

    return run


def _onnx(path: Path, threads: int) -> Graph:
    runtime = need('onnxruntime')
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors
    session = runtime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    names = [one.name for one in session.get_inputs()]

    def run(inputs: Sequence[Tensor]) -> list[Tensor]:
        arrays = (each.numpy() for each in inputs)
        return [torch.from_numpy(each) for each in session.run(None, dict(zip(names, arrays)))]

    return run


@cache
def openvino_core() -> Any:
    """The one of this process.

    Each core moves the stack that signals are handled on and, when it goes, puts back what it
    found: of two, the second would put back the freed one of the first, and the next signal (the
    end of a child, Ctrl-C) end the process without a word.
    """
    return need('openvino').Core()


def _openvino(path: Path, precision: str, threads: int) -> Graph:
    # Left alone, OpenVINO computes in bf16 wherever the processor does so fast. Of an int8 graph
    # the hint says what the layers between the integer ones are in.
    hints: dict[str, Any] = {
        'INFERENCE_NUM_THREADS': threads,
        'NUM_STREAMS': 1,
        'INFERENCE_PRECISION_HINT': 'bf16' if precision == 'bf16' else 'f32',
    }
    request = openvino_core().compile_model(str(path), 'CPU', hints).create_infer_request()

    def run(inputs: Sequence[Tensor]) -> list[Tensor]:
        found = request.infer([each.numpy() for each in inputs])
        # Copied: the request writes its next results to the same place.
        return [torch.from_numpy(each.copy()) for each in found.values()]

    return run
