import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models

from icm_bench.errors import UserError
from icm_bench.tasks._nets import resolve
from icm_bench.weights import load_state


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def squeezenet(tmp_path_factory):
    """A state dict of random weights, as .pth."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "squeezenet.pth"
    torch.save(models.squeezenet1_1(weights=None).state_dict(), path)
    return path


def test_preprocessing_is_the_weights_own(squeezenet):
    net = resolve("classification", "torchvision:squeezenet1_1", str(squeezenet))
    preset = models.SqueezeNet1_1_Weights.DEFAULT.transforms()
    for shape in ((300, 211), (90, 400)):
        picture = noise(*shape)
        assert torch.equal(net.prepare(picture), preset(Image.fromarray(picture)))
    assert net.input_pixels == 224 * 224
    own = resolve("classification", "torchvision:squeezenet1_1(resize=None, crop=None)", str(squeezenet))
    assert own.prepare(noise(40, 50)).shape == (3, 40, 50) and own.input_pixels is None


def test_order_of_a_mixed_batch_is_kept(squeezenet):
    net = resolve("classification", "torchvision:squeezenet1_1(resize=None, crop=None)", str(squeezenet))
    pictures = [noise(40, 50, 1), noise(64, 48, 2), noise(40, 50, 3), noise(64, 48, 4)]
    together = net.predict(pictures)
    assert together == [net.predict([picture])[0] for picture in pictures]
    assert len({tuple(output) for output in together}) > 1 and all(len(output) == 5 for output in together)
    model = models.squeezenet1_1(weights=None)
    model.load_state_dict(torch.load(squeezenet, weights_only=True))
    with torch.inference_mode():
        expected = model.eval()(net.prepare(pictures[1])[None])[0].topk(5).indices.tolist()
    assert together[1] == expected


def test_building_leaves_the_seed_alone(squeezenet):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    resolve("classification", "torchvision:squeezenet1_1", str(squeezenet)).setup()
    assert torch.rand(1) == expected


def test_number_of_classes_comes_from_the_state_dict(tmp_path):
    from safetensors.torch import save_file

    state = models.segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=19
    ).state_dict()
    path = tmp_path / "cityscapes.safetensors"
    save_file(dict(sorted(state.items())), path)
    net = resolve("segmentation", "torchvision:lraspp_mobilenet_v3_large(resize=64)", str(path))
    output = net.predict([noise(50, 70)])[0]
    assert output.shape == (50, 70) and output.dtype == np.uint8 and output.max() < 19


def test_voc_weights_are_refused_for_cityscapes():
    with pytest.raises(UserError, match="21 VOC labels"):
        resolve("segmentation", "torchvision:deeplabv3_resnet50")


def test_detector_gives_boxes_in_pixels_of_the_picture(tmp_path):
    torch.manual_seed(0)
    model = models.detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
    torch.save({"model": model.state_dict()}, tmp_path / "ssd.pth")
    net = resolve("detection", "torchvision:ssdlite320_mobilenet_v3_large", str(tmp_path / "ssd.pth"))
    picture = noise(90, 200)
    output = net.predict([picture])[0]
    with torch.inference_mode():
        expected = model([torch.from_numpy(picture).permute(2, 0, 1).float() / 255])[0]
    assert len(output["boxes"]) > 0 and output["boxes"][:, 2].max() <= 200
    for key in ("boxes", "scores", "labels"):
        np.testing.assert_allclose(output[key], expected[key].numpy(), rtol=1e-4, atol=1e-3)


def test_weights_that_do_not_fit_or_hold_code(tmp_path, squeezenet):
    with pytest.raises(UserError, match="does not fit torchvision's resnet18"):
        resolve("classification", "torchvision:resnet18", str(squeezenet)).setup()

    class Payload:
        def __reduce__(self):
            return (eval, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

    torch.save({"a": Payload()}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match=r"evil\.pth: refused"):
        resolve("classification", "torchvision:resnet18", str(tmp_path / "evil.pth")).setup()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_damaged_weights_files(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80\x02 not weights")
    with pytest.raises(UserError, match=name):
        load_state(tmp_path / name)


def test_wrappers_and_module_prefix(tmp_path):
    torch.save({"state_dict": {"module.a": torch.ones(2)}, "epoch": 3}, tmp_path / "a.pth")
    assert list(load_state(tmp_path / "a.pth")) == ["a"]
    torch.save([1, 2], tmp_path / "b.pth")
    with pytest.raises(UserError, match="no state dict"):
        load_state(tmp_path / "b.pth")


def test_nan_is_an_error_and_not_an_answer(tmp_path, squeezenet):
    state = torch.load(squeezenet, weights_only=True)
    state["classifier.1.bias"][0] = float("nan")
    torch.save(state, tmp_path / "nan.pth")
    net = resolve("classification", "torchvision:squeezenet1_1(resize=None, crop=None)", str(tmp_path / "nan.pth"))
    with pytest.raises(UserError, match="not finite"):
        net.predict([noise(40, 40)])


def test_a_detector_whose_scores_are_nan_is_an_error_and_not_an_empty_picture(tmp_path):
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    state = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None).state_dict()
    for value in ("whole", "nan"):
        if value == "nan":
            state["head.classification_head.module_list.0.1.bias"].fill_(float("nan"))
        torch.save(state, tmp_path / f"{value}.pth")
    name = "torchvision:ssdlite320_mobilenet_v3_large"
    resolve("detection", name, str(tmp_path / "whole.pth")).predict([noise(40, 40)])
    with pytest.raises(UserError, match="not finite"):
        resolve("detection", name, str(tmp_path / "nan.pth")).predict([noise(40, 40)])


def test_fingerprint_follows_weights_and_preprocessing(tmp_path, squeezenet):
    other = tmp_path / "other.pth"
    other.write_bytes(squeezenet.read_bytes() + b" ")
    specs = [
        ("torchvision:squeezenet1_1", str(squeezenet)),
        ("torchvision:squeezenet1_1(crop=None)", str(squeezenet)),
        ("torchvision:squeezenet1_1", str(other)),
        ("torchvision:squeezenet1_1", None),
    ]
    assert len({resolve("classification", *spec).fingerprint for spec in specs}) == 4
