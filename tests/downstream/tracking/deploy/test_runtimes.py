"""Opening and closing graphs leaves a process as it was."""

import subprocess
import sys

import pytest

OPENS_AND_CLOSES = """
import gc, os, signal, sys
from pathlib import Path
import numpy, torch, openvino
from openvino import opset13
from downstream.tracking.deploy.runtimes import open_graph

value = opset13.parameter([2], numpy.float32)
openvino.save_model(openvino.Model([opset13.relu(value)], [value]), sys.argv[1])
signal.signal(signal.SIGUSR1, lambda *_: print('heard', flush=True))
graphs = [open_graph(Path(sys.argv[1]), 'fp32', 1) for _ in range(2)]
while graphs:
    (found,) = graphs.pop(0)([torch.tensor([-1.0, 2.0])])
    assert found.tolist() == [0, 2]
    gc.collect()
    os.kill(os.getpid(), signal.SIGUSR1)
"""


def test_signals_are_heard_when_openvino_graphs_are_gone(tmp_path):
    """Each core of OpenVINO puts back the signal stack it found, which may be freed by then."""
    pytest.importorskip('openvino', reason='openvino is not installed')
    words = [sys.executable, '-c', OPENS_AND_CLOSES, str(tmp_path / 'relu.xml')]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, 'heard\nheard\n'), done.stderr
