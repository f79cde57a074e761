"""A tracker read back from its folder: the same frames around it whatever runs the network."""

from pathlib import Path

import torch
from torch import Tensor

from downstream.tracking.centre_tracker import CentreTracker
from downstream.tracking.deploy.folder import Manifest, read_manifest, settings_of
from downstream.tracking.deploy.graphs import graphs_of
from downstream.tracking.deploy.runtimes import Graph, in_torch, open_graph
from downstream.tracking.tracker import Locator


class ExportedTracker(Locator):
    """A tracker's model of two graphs, for `Tracker` and `track_sequences`.

    Args:
        manifest: of its folder.
        template, search: see graphs.py.
    """

    def __init__(self, manifest: Manifest, template: Graph, search: Graph) -> None:
        self.manifest = manifest
        self.template, self.search = template, search
        for name, value in manifest.settings.items():
            setattr(self, name, value)

    def remember(self, crops: Tensor, boxes: Tensor) -> tuple[Tensor, ...]:
        """See `Locator`; one crop after the other."""
        given = (crops, boxes) if self.manifest.asks_box else (crops,)
        return _one_by_one(self.template, given)

    def find(self, template: tuple[Tensor, ...], crops: Tensor) -> tuple[Tensor, Tensor]:
        """See `Locator`; one crop after the other."""
        box, score = _one_by_one(self.search, (crops, *template))
        return box, score


def read_exported(folder: str | Path, threads: int | None = None) -> ExportedTracker:
    """The tracker of a folder that `mimbench export tracker` wrote.

    Args:
        threads: of the CPU; default: torch's own number.

    Raises:
        UserError: no whole exported tracker, or its runtime is not installed.
    """
    manifest = read_manifest(Path(folder))
    template, search = (
        open_graph(
            Path(folder) / manifest.graph_file(name),
            manifest.precision,
            threads or torch.get_num_threads(),
        )
        for name in ('template', 'search')
    )
    return ExportedTracker(manifest, template, search)


def eager_bf16(model: CentreTracker) -> ExportedTracker:
    """The same two graphs in eager torch, with weights in bfloat16; nothing is written."""
    graphs = graphs_of(model, bf16=True)
    manifest = Manifest('eager', 'bf16', model.asks_box, settings_of(model))
    return ExportedTracker(manifest, in_torch(graphs.template), in_torch(graphs.search))


def _one_by_one(graph: Graph, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    found = [graph([each[i : i + 1] for each in inputs]) for i in range(len(inputs[0]))]
    return tuple(torch.cat(parts) for parts in zip(*found))
