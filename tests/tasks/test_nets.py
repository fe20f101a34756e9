import pickle
import sys

import pytest

from icm_bench.errors import MissingPackage, UserError
from icm_bench.tasks import _nets
from icm_bench.tasks._nets import backends, resolve


def test_back_ends_are_the_files_with_a_load_function():
    assert {"onnx", "torchvision"} <= set(backends())
    assert "mini_nets" not in backends()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("torchvison:resnet18", "did you mean 'torchvision'"),
        ("torchvision:squeezenet1_2", "did you mean 'squeezenet1_"),
        ("torchvision:", "a name is missing"),
        ("torchvision:fcn_resnet50", "is a segmentation net and the task takes classification nets"),
        ("squeezenet1_1", "did you mean 'torchvision:squeezenet1_1'"),
        ("models/net.onnx", "did you mean 'onnx:models/net.onnx'"),
        ("torchvision:resnet18(size=3)", "no parameter 'size'"),
        ("torchvision:resnet18(resize=-1)", "resize=-1 is not a positive whole number"),
        ('torchvision:resnet50(weights="IMAGENET1K_V3")', "did you mean 'IMAGENET1K_V"),
        ("onnx:no_such_file.onnx", "there is no such ONNX file"),
        ('onnx:x.onnx(kind="yolox")', "the task takes classification nets"),
        ("nothing-like-this", "unknown classification net"),
    ],
)
def test_mistakes_say_what_to_do(spec, said):
    with pytest.raises(UserError, match=said.replace("(", r"\(")):
        net = resolve("classification", spec)
        net.predict([])
        net.input_pixels  # noqa: B018 - reads the parameters


def test_weights_that_are_not_there(tmp_path):
    with pytest.raises(UserError, match="there is no such weights file"):
        resolve("classification", "torchvision:resnet18", str(tmp_path / "gone.pth"))


def test_built_in_nets_by_name():
    for kind in ("classification", "detection", "segmentation"):
        assert _nets.mini_names(kind)
    name = _nets.mini_names("detection")[0]
    with pytest.raises(UserError, match=r"gone\.safetensors"):
        resolve("detection", f'{name}(weights="gone.safetensors")')
    with pytest.raises(UserError, match=r"no parameter 'weigths'.*did you mean 'weights'"):
        resolve("detection", f"{name}(weigths=1)")
    with pytest.raises(UserError, match="is a detection net and the task takes segmentation nets"):
        resolve("segmentation", name)


def test_a_missing_package_names_its_pip_command(monkeypatch):
    monkeypatch.setattr("icm_bench.tasks._onnx.find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match=r"needs onnxruntime: pip install 'icm-bench\[onnx\]'"):
        resolve("detection", "onnx:x.onnx")


def test_a_back_end_is_a_file(tmp_path, monkeypatch):
    (tmp_path / "_blank.py").write_text("import mmseg\ndef load(kind, name, params, weights):\n    ...\n")
    package = sys.modules["icm_bench.tasks"]
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    monkeypatch.setattr(package.__spec__, "submodule_search_locations", package.__path__)
    backends.cache_clear()
    try:
        assert "blank" in backends()
        monkeypatch.setitem(sys.modules, "mmseg", None)
        with pytest.raises(MissingPackage, match="mmseg"):
            resolve("segmentation", "blank:anything")
    finally:
        backends.cache_clear()
        sys.modules.pop("icm_bench.tasks._blank", None)


def test_nets_pickle_without_their_networks():
    net = resolve("classification", "torchvision:squeezenet1_1(resize=64, crop=None)")
    copy = pickle.loads(pickle.dumps(net))
    assert copy.spec == net.spec == "torchvision:squeezenet1_1(crop=None, resize=64)"
    assert copy.fingerprint == net.fingerprint
