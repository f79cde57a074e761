"""One process of a run over a set, as parallel.py starts it.

    python -m downstream.tracking.runs.worker OUT/processes/NUMBER.json

A sequence that cannot be read does not stop the others: it leaves a line in `NUMBER.failures`
beside the file, and exit code 2. Anything else ends the process with a line there, and code 1.
"""

import json
import os
import sys
import traceback
from pathlib import Path

from downstream.evaluation.worker import failure_line
from downstream.tracking.data import read_sequence
from downstream.tracking.runs.kept import KeptTracks
from downstream.tracking.runs.parallel import TrackRun
from mim_backbones.errors import UserError


def work(told: Path) -> list[str]:
    """Track the groups that the file names; lines for those that could not be."""
    import torch

    from downstream.tracking.tracker import track_sequences

    content = json.loads(told.read_text())
    run = TrackRun(**content['run'])
    torch.set_num_threads(run.threads)
    model, kept = run.tracker(), KeptTracks(Path(run.out))
    failures = []
    for names in content['groups']:
        try:
            videos = [read_sequence(run.root, name) for name in names]
            kept.completed(videos, lambda videos=videos: track_sequences(model, videos))
        except UserError as error:
            failures.append(f'{", ".join(names)}: {error}')
    return failures


def main() -> int:
    told = Path(sys.argv[1])
    try:
        failures, code = work(told), 2
    except Exception as error:
        # The boundary of the process: the parent shows this line, the log has the rest.
        traceback.print_exc()
        failures, code = [failure_line(error)], 1
    if failures:
        told.with_suffix('.failures').write_text('\n'.join(failures))
    return code if failures else 0


if __name__ == '__main__':
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # as evaluation/worker.py: the stack's shutdown takes a second
