from typing import Any

import numpy as np
import pytest
import torch

from pretrain.inspect.masks import avg_dist


@pytest.mark.golden('avgdist')
def test_avg_dist(golden: dict[str, dict[str, Any]], same) -> None:
    for name, case in golden.items():
        found = avg_dist(np.asarray(case['mask']).astype(bool), int(case['patch']))
        expected = torch.as_tensor(case['avgdist'], dtype=torch.float64)
        same(name, torch.from_numpy(found), expected, atol=1e-9)
