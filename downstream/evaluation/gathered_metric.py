"""A metric that keeps a small record of each image and merges those of several processes.

mmengine's own collection writes a temporary file per process when the results lie on the CPU, and
tells padding from data by position. Here the records go from process to process, and an image that
a sampler gave to two of them counts once.
"""

from operator import itemgetter

from mmengine.dist import broadcast_object_list, gather_object, is_main_process
from mmengine.evaluator import BaseMetric


class GatheredMetric(BaseMetric):
    """`process` appends (image, record) pairs to `results`; `compute_metrics` gets each image once.

    The first process alone computes; images are sorted, so that units have one order however many
    processes there are.
    """

    def evaluate(self, size: int) -> dict[str, float]:
        """size: of the data set, which the images themselves tell."""
        parts = gather_object(self.results)
        metrics: list[dict[str, float] | None] = [None]
        if is_main_process():
            records = {image: record for part in parts for image, record in part}
            found = self.compute_metrics(sorted(records.items(), key=itemgetter(0)))
            metrics = [{'/'.join(filter(None, (self.prefix, k))): v for k, v in found.items()}]
        self.results.clear()
        broadcast_object_list(metrics)
        assert metrics[0] is not None
        return metrics[0]
