"""mmsegmentation's back end on random weights, against mmsegmentation itself."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from pictures import small_pictures
from tiny_mmseg import CONFIG, random_net
from tiny_sets import cityscapes

from icm_bench import registry
from icm_bench.errors import UserError
from icm_bench.tasks._nets import resolve

pytest.importorskip("mmengine", reason="mmsegmentation is not installed: pip install 'icm-bench[mmseg]'")

@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A small config, and a checkpoint of random weights as mmengine saves it."""
    return random_net(tmp_path_factory.mktemp("mmseg"))[:2]


@pytest.fixture
def net(files):
    return resolve("segmentation", f"mmseg:{files[0]}", str(files[1]))


def test_predictions_are_mmsegmentations_own(net, files):
    from mmengine.model import revert_sync_batchnorm
    from mmseg.apis import inference_model, init_model

    plain = init_model(str(files[0]), str(files[1]), device="cpu")
    own = revert_sync_batchnorm(plain)
    own.cfg = plain.cfg
    pictures = small_pictures()
    ours = net.outputs(pictures)
    assert [best.shape for _, best in ours] == [picture.shape[:2] for picture in pictures]
    for picture, (logits, _) in zip(pictures, ours, strict=True):
        alone = inference_model(own, picture[:, :, ::-1].copy())
        np.testing.assert_allclose(logits, alone.seg_logits.data.numpy(), atol=1e-5)
    together = inference_model(own, [picture[:, :, ::-1].copy() for picture in pictures[:2]])
    for (logits, best), result in zip(ours[:2], together, strict=True):
        np.testing.assert_array_equal(logits, result.seg_logits.data.numpy())
        np.testing.assert_array_equal(best, result.pred_sem_seg.data[0].numpy())
    assert len({int(value) for _, best in ours for value in np.unique(best)}) > 1


def test_scores_equal_mmsegmentations_iou_metric(tmp_path, net):
    from mmseg.evaluation import IoUMetric

    pictures = small_pictures()
    rng = np.random.default_rng(4)
    names = [f"p{n}" for n in range(len(pictures))]
    best = net.predict(pictures)
    # Labels that agree with the net in half of the pixels, so that no score is trivial.
    labels = {
        name: np.where(rng.random(one.shape) < 0.5, one, rng.choice([0, 3, 5, 18, 255], one.shape)).astype(np.uint8)
        for name, one in zip(names, best, strict=True)
    }
    task = registry.task("cityscapes", data=str(cityscapes(tmp_path, labels)))
    evidence = {s.id: task.evidence(s, one) for s, one in zip(task.samples(), best, strict=True)}
    areas = [
        IoUMetric.intersect_and_union(torch.from_numpy(one), torch.from_numpy(labels[name]), 19, 255)
        for name, one in zip(names, best, strict=True)
    ]
    total = IoUMetric.total_area_to_metrics(*(sum(parts) for parts in zip(*areas, strict=True)), ["mIoU"])
    scores = task.score(evidence)
    assert scores["mIoU"] == pytest.approx(100 * np.nanmean(total["IoU"]), abs=1e-5)
    intersect, union, _, _ = (sum(parts).double() for parts in zip(*areas, strict=True))
    exact = (intersect / union)[union > 0].mean()  # mmsegmentation divides in float32
    assert scores["mIoU"] == pytest.approx(100 * float(exact), abs=1e-9)
    assert scores["pixel_accuracy"] == pytest.approx(100 * float(total["aAcc"]), abs=1e-5)


def test_a_config_of_the_package_by_its_name(tmp_path):
    from icm_bench.tasks._mmseg import find_config, with_ops

    with_ops()
    from mmseg.apis import init_model

    name = "fast_scnn_8xb4-160k_cityscapes-512x1024"
    torch.manual_seed(2)
    torch.save(init_model(str(find_config(name)), device="cpu").state_dict(), tmp_path / "w.pth")
    net = resolve("segmentation", f"mmseg:{name}", str(tmp_path / "w.pth"))
    output = net.predict([small_pictures()[0]])[0]
    assert output.shape == (90, 120) and output.dtype == np.uint8 and output.max() < 19


def test_the_fingerprint_follows_config_and_weights(net, files, tmp_path):
    same = resolve("segmentation", f"mmseg:{files[0]}", str(files[1]))
    assert same.fingerprint == net.fingerprint == pickle.loads(pickle.dumps(net)).fingerprint
    other = tmp_path / "other.py"
    other.write_text(files[0].read_text().replace("(256, 128)", "(128, 128)"))
    assert resolve("segmentation", f"mmseg:{other}", str(files[1])).fingerprint != net.fingerprint
    again = tmp_path / "again.pth"
    again.write_bytes(files[1].read_bytes() + b" ")
    assert resolve("segmentation", f"mmseg:{files[0]}", str(again)).fingerprint != net.fingerprint


def test_mistakes_say_what_to_do(files, tmp_path):
    with pytest.raises(UserError, match="give --weights FILE, the checkpoint"):
        resolve("segmentation", f"mmseg:{files[0]}")
    with pytest.raises(UserError, match="did you mean 'fcn_r50-d8_4xb2-40k_cityscapes-512x1024'"):
        resolve("segmentation", "mmseg:fcn_r50-d8_4xb2-40k_cityscapes-512x102", str(files[1]))
    with pytest.raises(UserError, match="there is no such config file"):
        resolve("segmentation", "mmseg:gone.py", str(files[1]))
    with pytest.raises(UserError, match="segmenters and the task takes detection nets"):
        resolve("detection", f"mmseg:{files[0]}", str(files[1]))
    (tmp_path / "broken.py").write_text("model = dict(type='NoSuchNet')\ntest_pipeline = []\n")
    with pytest.raises(UserError, match=r"broken\.py: cannot be built .*NoSuchNet"):
        resolve("segmentation", f"mmseg:{tmp_path / 'broken.py'}", str(files[1])).setup()
    (tmp_path / "empty.py").write_text("a = 1\n")
    with pytest.raises(UserError, match="has no model and no test_pipeline"):
        resolve("segmentation", f"mmseg:{tmp_path / 'empty.py'}", str(files[1])).fingerprint  # noqa: B018
    voc = tmp_path / "voc.py"
    voc.write_text(CONFIG.replace("CLASSES", "21"))
    with pytest.raises(UserError, match=r"small19\.pth: does not fit mmsegmentation's .*size mismatch"):
        resolve("segmentation", f"mmseg:{voc}", str(files[1])).setup()


def test_another_number_of_classes_is_refused(tmp_path):
    config, checkpoint, _ = random_net(tmp_path, classes=21)
    with pytest.raises(UserError, match="21 outputs, Cityscapes has 19"):
        resolve("segmentation", f"mmseg:{config}", str(checkpoint)).predict([small_pictures()[0]])


def test_a_missing_operator_is_told_only_when_a_net_uses_it():
    """In a fresh process, so that nothing has been imported before."""
    code = (
        "from icm_bench.tasks._mmseg import with_ops\n"
        "with_ops()\n"
        "import importlib.util, mmcv.ops, mmseg.models\n"
        "from mmcv.ops import point_sample\n"
        "if importlib.util.find_spec('mmcv._ext') is None:\n"
        "    point_sample(1, 2)\n"
        "else:\n"
        "    raise SystemExit('mmcv.ops.point_sample is a compiled operator that is there')\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert "mmcv.ops.point_sample is a compiled operator" in done.stderr.splitlines()[-1]
