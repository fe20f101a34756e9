"""timm's back end on random weights, against timm itself."""

import pickle

import pytest
import torch
from pictures import small_pictures
from PIL import Image

from icm_bench.errors import UserError
from icm_bench.tasks._nets import resolve

timm = pytest.importorskip("timm", reason="timm is not installed: pip install 'icm-bench[timm]'")
NAME = "test_resnet.r160_in1k"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("timm") / "net.pth"
    torch.save(timm.create_model(NAME, pretrained=False).state_dict(), path)
    return path


def test_predictions_are_timms_own(weights):
    from timm.data import create_transform, resolve_model_data_config

    model = timm.create_model(NAME, pretrained=False)
    model.load_state_dict(torch.load(weights, weights_only=True))
    model.eval()
    transform = create_transform(**resolve_model_data_config(model), is_training=False)
    net = resolve("classification", f"timm:{NAME}", str(weights))
    pictures = small_pictures()
    with torch.inference_mode():
        logits = model(torch.stack([transform(Image.fromarray(picture)) for picture in pictures]))
    assert net.predict(pictures) == logits.topk(5).indices.tolist()
    assert net.input_pixels == 160 * 160


def test_mistakes_and_fingerprints(weights):
    with pytest.raises(UserError, match="did you mean 'test_resnet"):
        resolve("classification", "timm:test_resne")
    with pytest.raises(UserError, match="classifiers and the task takes detection nets"):
        resolve("detection", f"timm:{NAME}")
    with pytest.raises(UserError, match="does not fit timm's test_vit"):
        resolve("classification", "timm:test_vit", str(weights)).setup()
    net = resolve("classification", f"timm:{NAME}", str(weights))
    assert pickle.loads(pickle.dumps(net)).fingerprint == net.fingerprint
    other = resolve("classification", f"timm:{NAME}(crop_pct=0.5)", str(weights))
    assert len({net.fingerprint, other.fingerprint, resolve("classification", f"timm:{NAME}").fingerprint}) == 3
    assert not torch.equal(net.prepare(small_pictures()[0]), other.prepare(small_pictures()[0]))
