"""A graph as an ONNX file, in float32 or with eight-bit products."""

import logging
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from downstream.tracking.deploy.packages import need

# Outputs by graph; what is kept of a template is an output of one graph and an input of the other.
BOX, SCORE, KEPT = 'box', 'score', 'kept'


def write_onnx(
    graph: nn.Module, inputs: Sequence[Tensor], names: Sequence[str], path: Path
) -> None:
    """Traced for the sizes of `inputs`, weights inside the file.

    names: of the inputs, then of the outputs.

    Raises:
        UserError: onnx or onnxscript is not installed.
    """
    need('onnx')
    script = need('onnxscript')
    op = script.opset18

    def stable_sort(self: Any, stable: bool = True, dim: int = -1, descending: bool = False) -> Any:
        # torch has no translation. TopK puts the first of equals first, as a stable sort does.
        count = op.Shape(self, start=dim, end=dim + 1)
        return op.TopK(self, count, axis=dim, largest=int(descending), sorted=1)

    with warnings.catch_warnings(), _quiet('torch.onnx', 'onnxscript', 'onnx_ir'):
        warnings.simplefilter('ignore')
        torch.onnx.export(
            graph,
            tuple(inputs),
            str(path),
            input_names=list(names[: len(inputs)]),
            output_names=list(names[len(inputs) :]),
            dynamo=True,
            external_data=False,
            verbose=False,
            custom_translation_table={torch.ops.aten.sort.stable: stable_sort},
        )


def write_int8(source: Path, target: Path, samples: Iterable[dict[str, Any]]) -> None:
    """The ONNX file with convolutions and products by weights in eight bits.

    After training, without any: weights per channel, activations by their range over the samples
    (input name -> array). What attention multiplies stays in float32, and so do the patch
    embedding, which reads grey levels, and the last layers of the head, whose outputs are
    the box.
    """
    onnx = need('onnx')
    quantization = need('onnxruntime.quantization')

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.samples: Iterator[dict[str, Any]] = iter(samples)

        def get_next(self) -> dict[str, Any] | None:
            return next(self.samples, None)

    with _quiet(None):
        quantization.quantize_static(
            str(source),
            str(target),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=['Conv', 'MatMul', 'Gemm'],
            nodes_to_exclude=_left_in_float(onnx.load(str(source)).graph),
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )


def _left_in_float(graph: Any) -> list[str]:
    """Nodes whose product has no weight, the first convolution, and those of few outputs."""
    weights = {each.name: list(each.dims) for each in graph.initializer}
    nodes = [node for node in graph.node if node.op_type in ('Conv', 'MatMul', 'Gemm')]
    first = next(node.name for node in nodes if node.op_type == 'Conv')
    left = []
    for node in nodes:
        shape = weights.get(node.input[1])
        few = node.op_type == 'Conv' and shape is not None and shape[0] <= 2
        if shape is None or node.name == first or few:
            left.append(node.name)
    return left


class _quiet:
    """Loggers of these names (None: the root) say errors alone."""

    def __init__(self, *names: str | None) -> None:
        self.loggers = [logging.getLogger(name) for name in names]

    def __enter__(self) -> None:
        self.levels = [logger.level for logger in self.loggers]
        for logger in self.loggers:
            logger.setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        for logger, level in zip(self.loggers, self.levels):
            logger.setLevel(level)
