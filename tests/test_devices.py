"""Where networks run: what is refused, and that an accelerator sees the same."""

import numpy as np
import pytest
import torch

from icm_bench import devices, plan, rows, runner
from icm_bench.errors import UserError
from icm_bench.request import Request
from icm_bench.store import Store

#: What two devices may differ by: float32 sums in another order, which may turn a pixel over a rounding edge.
PSNR_DB, SCORE = 0.02, 2.0


@pytest.mark.parametrize(("device", "said"), [("gpu", "unknown; expected cpu, cuda"), ("meta", "not supported")])
def test_unknown_devices(device, said):
    with pytest.raises(UserError, match=f"--device {device}: {said}"):
        devices.check(device)


def test_devices_that_are_not_here():
    devices.check("cpu")
    with pytest.raises(UserError, match=r"--device cuda:99: torch .* sees \d+ CUDA devices here"):
        devices.check("cuda:99")
    if not torch.cuda.is_available():
        with Store(None) as store, pytest.raises(UserError, match="sees 0 CUDA devices"):
            plan.build(Request(("rdc",), ("coco",), device="cuda"), store)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")
@pytest.mark.parametrize("method", ["rdc", "hyperprior"])
def test_an_accelerator_gives_the_same_rows(method):
    found = {}
    for device in ("cpu", "cuda"):
        with Store(None) as store:
            made = plan.build(Request((method,), ("imagenet", "coco", "cityscapes"), limit=8, device=device), store)
            for _ in runner.run(made, store):
                pass
            found[device] = rows.rows(store, made)
    for here, there in zip(found["cpu"], found["cuda"], strict=True):
        assert there["error"] is None
        assert there["n_bytes"] == pytest.approx(here["n_bytes"], rel=0.002)
        if here["psnr_mean"] is not None:
            assert there["psnr_mean"] == pytest.approx(here["psnr_mean"], abs=PSNR_DB)
        assert np.isclose(there["score"], here["score"], atol=SCORE)
