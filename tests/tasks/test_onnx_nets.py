import numpy as np
import pytest
from tiny_sets import onnx_file

from icm_bench.errors import UserError
from icm_bench.tasks import _yolox
from icm_bench.tasks._nets import resolve
from icm_bench.tasks._onnx import infer_form

COLOURS = {0: (200, 20, 30), 1: (10, 220, 40), 2: (30, 20, 210)}


@pytest.fixture
def segmenter(tmp_path):
    """An ONNX net whose class 0, 1, 2 is the strongest of red, green, blue, at a quarter of the input's size."""
    pytest.importorskip("onnxruntime")
    weight = np.zeros((19, 3, 1, 1), np.float32)
    weight[:3, :, 0, 0] = np.eye(3)
    bias = np.full(19, -9, np.float32)
    bias[:3] = 0
    nodes = [("Conv", ["image", "weight", "bias"], "logits")]
    shapes = ([1, 3, "H", "W"], [1, 19, "H", "W"])
    return onnx_file(tmp_path / "seg.onnx", nodes, shapes, {"weight": weight, "bias": bias})


@pytest.fixture
def classifier(tmp_path):
    """An ONNX net whose class 0, 1, 2 is the mean of red, green, blue."""
    pytest.importorskip("onnxruntime")
    nodes = [("GlobalAveragePool", ["image"], "mean"), ("Flatten", ["mean"], "logits")]
    return onnx_file(tmp_path / "cls.onnx", nodes, ([1, 3, 32, 32], [1, 3]))


def stripes():
    picture = np.zeros((24, 60, 3), np.uint8)
    for number, colour in COLOURS.items():
        picture[:, 20 * number : 20 * number + 20] = colour
    return picture


def test_segmentation_at_the_pictures_size(segmenter):
    net = resolve("segmentation", f"onnx:{segmenter}(min_side=24)")
    output = net.predict([stripes()])[0]
    assert output.shape == (24, 60) and output.dtype == np.uint8
    for number in COLOURS:
        assert (output[:, 20 * number + 3 : 20 * number + 17] == number).all()
    assert net.input_pixels is None


def test_segmentation_input_sizes(segmenter):
    net = resolve("segmentation", f"onnx:{segmenter}")
    assert net._free_size(360, 480) == (577, 769)
    assert net._free_size(1024, 2048) == (1025, 2049)
    assert net._free_size(1, 1) == (577, 577)


def test_classifier(classifier):
    net = resolve("classification", f"onnx:{classifier}")
    pictures = [np.full((50, 40, 3), colour, np.uint8) for colour in COLOURS.values()]
    assert [output[0] for output in net.predict(pictures)] == [0, 1, 2]
    assert net.input_pixels == 32 * 32


ODD_NAMES = ["two words", "it's \"said\"", "-dash", "ünï 目", "a;b $(c) `d` & |", "[x]*?(1)", "a\\"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_of_a_file_will_do(classifier, tmp_path, monkeypatch, name):
    (tmp_path / f"{name}.onnx").write_bytes(classifier.read_bytes())
    monkeypatch.chdir(tmp_path)
    for spec in (f"onnx:{name}.onnx", f"onnx:{tmp_path}/{name}.onnx"):
        assert resolve("classification", spec).predict([np.full((32, 32, 3), COLOURS[1], np.uint8)])[0][0] == 1


def test_a_file_of_another_form_is_refused(segmenter, classifier, tmp_path):
    with pytest.raises(UserError, match="looks like segmentation, the task needs yolox"):
        resolve("detection", f"onnx:{segmenter}").setup()
    with pytest.raises(UserError, match="looks like classifier, the task needs segmentation"):
        resolve("segmentation", f"onnx:{classifier}").setup()
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    with pytest.raises(UserError, match=r"junk\.onnx: cannot be opened"):
        resolve("detection", f"onnx:{tmp_path / 'junk.onnx'}").setup()
    with pytest.raises(UserError, match="leave --weights"):
        resolve("segmentation", f"onnx:{segmenter}", str(classifier))
    with pytest.raises(UserError, match="unknown output 'logit'"):
        resolve("segmentation", f'onnx:{segmenter}(output="logit")').predict([stripes()])


def test_forms_by_output_shapes():
    assert infer_form([[1, 3549, 85]]) == "yolox"
    assert infer_form([[1, 19, "h", "w"], [1, 19, "H", "W"]]) == "segmentation"
    assert infer_form([["n", 1000]]) == "classifier"
    assert infer_form([[1, 100, 4], [1, 100]]) is None


def test_resize_is_opencvs_bilinear():
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(1)
    for shape, size in (((480, 640), (312, 416)), ((100, 77), (416, 320)), ((333, 500), (277, 416))):
        picture = rng.integers(0, 256, (*shape, 3), np.uint8)
        expected = cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
        assert np.abs(_yolox.resize_linear(picture, size).astype(int) - expected).max() <= 1


def test_letterbox_is_top_left_bgr_on_grey():
    picture = np.full((100, 200, 3), (10, 20, 30), np.uint8)
    inputs, scale = _yolox.letterbox(picture, 416, 416)
    assert scale == 2.08 and inputs.shape == (1, 3, 416, 416)
    assert inputs[0, :, 0, 0].tolist() == inputs[0, :, 207, 415].tolist() == [30, 20, 10]
    assert (inputs[0, :, 208:] == 114).all()
    assert _yolox.letterbox(np.zeros((1, 2000, 3), np.uint8), 416, 416)[0].shape == (1, 3, 416, 416)


def raw_output(boxes, classes=3, size=64):
    """The raw output in which (stride, row, column, width, height, class, score) are found and nothing else."""
    anchors = [(s, y, x) for s in _yolox.STRIDES for y in range(size // s) for x in range(size // s)]
    raw = np.zeros((len(anchors), 5 + classes), np.float32)
    for stride, row, column, width, height, number, score in boxes:
        at = anchors.index((stride, row, column))
        raw[at, :4] = 0.5, 0.5, np.log(width / stride), np.log(height / stride)
        raw[at, 4], raw[at, 5 + number] = 1, score
    return raw


def test_decode_inverts_the_grids():
    raw = raw_output([(8, 2, 5, 20, 12, 1, 0.9), (32, 1, 0, 30, 40, 2, 0.5), (16, 0, 3, 8, 8, 0, 0.0005)])
    boxes, scores, labels = _yolox.decode(raw, 64, 64)
    np.testing.assert_allclose(boxes, [[34, 14, 54, 26], [1, 28, 31, 68]], rtol=1e-5)
    np.testing.assert_allclose(scores, [0.9, 0.5])
    assert labels.tolist() == [1, 2]


def test_suppression_is_by_class():
    same = raw_output([(8, 2, 2, 30, 30, 1, 0.9), (8, 2, 3, 30, 30, 1, 0.8)])
    assert len(_yolox.decode(same, 64, 64)[0]) == 2  # 8 of 30 pixels apart: IoU 0.58
    same[:, 0] -= np.where(same[:, 6] == np.float32(0.8), 0.9, 0)  # now nearly on top of each other
    assert _yolox.decode(same, 64, 64)[1].tolist() == pytest.approx([0.9])
    same[same[:, 6] == np.float32(0.8), 7] = 0.7  # the same box may also be another class
    assert _yolox.decode(same, 64, 64)[2].tolist() == [1, 2]
    with pytest.raises(UserError, match="84 anchors do not fit a 96x64 input"):
        _yolox.decode(same, 64, 96)


def test_category_ids_are_cocos():
    assert len(_yolox.CATEGORY_IDS) == 80
    assert _yolox.CATEGORY_IDS[:13] == (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14)
    assert _yolox.CATEGORY_IDS[-1] == 90
