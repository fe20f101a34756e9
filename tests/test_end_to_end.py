"""Every method on every task of the mini world, with both nets; and real pictures where they are at hand."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from icm_bench import plan, registry, rows, runner
from icm_bench.request import Request
from icm_bench.store import Store

REALDATA = os.environ.get("ICM_BENCH_REALDATA")
TASKS = ("imagenet", "coco", "cityscapes")
RATES = {
    "identity": None,
    "jpeg": (20.0,),
    "vvc": (37.0,),
    "hyperprior": (2.0,),
    "hyperprior(variable=True)": (2.5,),
    "task-specific(task='cityscapes')": (2.5,),
    "rdc": (2.5,),
}
needs_real = pytest.mark.skipif(REALDATA is None, reason="ICM_BENCH_REALDATA does not name a folder of real pictures")


def run(request: Request) -> list[rows.Row]:
    with Store(None) as store:
        made = plan.build(request, store)
        for _ in runner.run(made, store):
            pass
        return rows.rows(store, made)


@pytest.mark.parametrize("method", sorted(RATES))
def test_every_method_runs_on_three_tasks_and_two_nets(method: str) -> None:
    found = run(Request((method,), TASKS, rates=RATES[method], limit=2, reference=None))
    betas = registry.method(method).betas
    assert len(found) == len(TASKS) * 2 * len(betas)
    assert {row["method"] for row in found} == {method}
    for row in found:
        assert row["error"] is None, row["error"]
        assert row["n_pictures"] == 2
        assert row["bpp"] == pytest.approx(8 * row["n_bytes"] / row["pixels_orig"])
        assert 0 <= row["score"] <= 100
        assert row["data"].startswith(f"{row['task']} (built-in mini set, synthetic)")
        assert row["rate_kind"] == "real" and row["profile"] == "orig"
    if betas != (None,):
        sent = {row["beta"]: row["n_bytes"] for row in found if row["task"] == "coco"}
        assert sent[1.0] < sent[0.0] == sent[0.5] == sent[0.75]


def test_encode_and_decode_in_two_processes(tmp_path: Path) -> None:
    from icm_bench.images import read_picture, write_png
    from icm_bench.testing import textured_picture

    picture = textured_picture(90, 70)
    write_png(tmp_path / "a photo.png", picture)
    tool = [sys.executable, "-m", "icm_bench"]
    calls = [
        ["encode", "a photo.png", "-o", "photo.icm", "--method", "rdc", "--rate", "3"],
        ["decode", "photo.icm", "-o", "out.png", "--beta", "0.5"],
    ]
    for call in calls:
        done = subprocess.run([*tool, *call], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert read_picture(tmp_path / "out.png").shape == picture.shape
    stream = (tmp_path / "photo.icm").read_bytes()
    for name, content in {"cut.icm": stream[:-5], "foreign.icm": b"\x89PNG\r\n\x1a\n" + bytes(40)}.items():
        (tmp_path / name).write_bytes(content)
        call = [*tool, "decode", name, "-o", "no.png"]
        done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr
        assert not (tmp_path / "no.png").exists()


@pytest.mark.slow
@needs_real
@pytest.mark.parametrize("method", ["jpeg", "vvc", "rdc"])
def test_codecs_run_on_real_pictures(method: str) -> None:
    assert REALDATA is not None
    real = Path(REALDATA)
    weights = real / "weights"
    places = {
        "imagenet": (real / "imagenet" / "train_sample", "torchvision:squeezenet1_1"),
        "coco": (real / "coco", f"onnx:{weights / 'yolox_nano.onnx'}"),
        "cityscapes": (real / "cityscapes", f"onnx:{weights / 'deeplab_edgetpu_slim_cityscapes_f32.onnx'}"),
        "images": (real / "kodak", None),
    }
    for task, (data, net) in places.items():
        files = (str(weights / "squeezenet1_1_torchvision.pth"),) if task == "imagenet" else ()
        nets = (net,) if net else ()
        request = Request(
            (method,), (task,), nets, files, RATES[method], data=str(data), limit=1, reference=None
        )
        for row in run(request):
            assert row["error"] is None, row["error"]
            assert row["n_pictures"] == 1 and row["psnr_mean"] > 15
            json.dumps(row)
