"""Runs of one process have logs, message hubs and visualizers of their own."""

import time
from types import SimpleNamespace

import pytest

from mim_backbones.training.launch import build_runner
from tests.mim_backbones.training.line import line_config


def test_two_runs_of_one_second_share_nothing(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = SimpleNamespace(
        time=lambda: 4e8, strftime=time.strftime, localtime=time.localtime, perf_counter=time.time
    )
    monkeypatch.setattr('mmengine.runner.runner.time', second)
    runs = []
    for name in ('one', 'two'):
        cfg = line_config(tmp_path / name)
        cfg.pop('visualizer')
        runs.append(build_runner(cfg))
    one, two = runs
    one.message_hub.update_info('rewound_at', 2)
    assert two.message_hub.get_info('rewound_at') is None
    assert one.logger is not two.logger
    assert one.visualizer is not two.visualizer
    assert one.log_dir != two.log_dir
