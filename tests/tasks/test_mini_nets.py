"""The built-in nets: their contract, their files, what they see, and the script that trains them."""

from __future__ import annotations

import hashlib
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from command import call

from icm_bench.config import read_config
from icm_bench.errors import UserError
from icm_bench.images import write_png
from icm_bench.mini.scenes import scene
from icm_bench.mini.writers import CATEGORY_IDS, CLASS_INDICES, TRAIN_IDS
from icm_bench.tasks import _mini_nets, _mini_training
from icm_bench.tasks import _train_sets as data
from icm_bench.tasks._mini_blocks import fold_norms
from icm_bench.tasks._mini_models import build

ALL = [name for names in _mini_nets.NAMES.values() for name in names]
CONFIGS = Path(_mini_nets.__file__).parent / "configs"
SHAPES = [(1, 1), (1, 150), (33, 70), (128, 128), (161, 97), (161, 97)]


def noise(*shapes: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]


@pytest.fixture(scope="module")
def nets() -> dict[str, _mini_nets.MiniNet]:
    return {name: _mini_nets.load(name) for name in ALL}


def test_import_leaves_torch_out() -> None:
    code = "import sys, icm_bench.tasks._mini_nets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", ALL)
def test_nan_is_an_error_and_not_an_answer(name: str) -> None:
    net = _mini_nets.load(name)
    net.setup()
    (picture,) = noise((64, 64))
    net.predict([picture])
    scores = [parameter for key, parameter in net.ready[0].named_parameters() if key.endswith("bias")][-1]
    scores.fill_(float("nan"))
    with pytest.raises(UserError, match=f"{name}: the output is not finite"):
        net.predict([picture])


@pytest.mark.parametrize("name", ALL)
def test_files_agree(name: str) -> None:
    weights = _mini_nets.WEIGHTS / f"{name}.safetensors"
    card = json.loads(weights.with_suffix(".json").read_text("utf-8"))
    assert weights.stat().st_size < 4e6
    assert card["net"] == name
    assert card["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    config = read_config(_mini_training.Config, CONFIGS / f"{name}.toml")
    assert card["config"] == json.loads(json.dumps(vars(config)))
    assert card["steps_done"] == config.steps


def test_weights_were_learned_on_the_present_mini_world() -> None:
    from icm_bench.mini import fingerprint

    for kind, names in _mini_nets.NAMES.items():
        expected = fingerprint(_mini_training.TASKS[kind], "train")
        for name in names:
            card = json.loads((_mini_nets.WEIGHTS / f"{name}.json").read_text("utf-8"))
            assert card["data_fingerprint"] == expected, name


def test_two_architectures_per_task() -> None:
    for names in _mini_nets.NAMES.values():
        states = (build(name, 10).state_dict().items() for name in names)
        first, second = ({(key, v.shape) for key, v in state if v.ndim == 4} for state in states)
        assert len(first & second) <= 1, "only the stem may be alike"


@pytest.mark.parametrize("name", _mini_nets.NAMES["classification"])
def test_classes(nets: dict[str, _mini_nets.MiniNet], name: str) -> None:
    for output in nets[name].predict(noise(*SHAPES)):
        assert sorted(output.tolist()) == list(CLASS_INDICES)
    assert nets[name].input_pixels == 128 * 128


@pytest.mark.parametrize("name", _mini_nets.NAMES["detection"])
def test_boxes(nets: dict[str, _mini_nets.MiniNet], name: str) -> None:
    pictures = [*noise(*SHAPES), scene("coco", "val", 0).pixels]
    outputs = nets[name].predict(pictures)
    for picture, output in zip(pictures, outputs, strict=True):
        boxes, scores, labels = output["boxes"], output["scores"], output["labels"]
        assert boxes.shape == (len(scores), 4) and labels.shape == scores.shape and len(scores) <= 50
        assert (boxes >= 0).all() and (boxes[:, [0, 2]] <= picture.shape[1]).all()
        assert (boxes[:, [1, 3]] <= picture.shape[0]).all()
        assert ((scores > 0) & (scores <= 1)).all()
        assert set(labels.tolist()) <= set(CATEGORY_IDS)
    assert len(outputs[-1]["scores"]) > 0


@pytest.mark.parametrize("name", _mini_nets.NAMES["segmentation"])
def test_maps(nets: dict[str, _mini_nets.MiniNet], name: str) -> None:
    pictures = noise(*SHAPES)
    for picture, output in zip(pictures, nets[name].predict(pictures), strict=True):
        assert output.dtype == np.uint8 and output.shape == picture.shape[:2]
        assert set(np.unique(output).tolist()) <= set(TRAIN_IDS.values())


@pytest.mark.parametrize("name", ALL)
def test_neighbours_in_a_batch_do_not_matter(nets: dict[str, _mini_nets.MiniNet], name: str) -> None:
    dataset = _mini_training.TASKS[nets[name].kind]
    pictures = [scene(dataset, "val", index).pixels for index in (0, 1, 2)]
    pictures = [pictures[0], pictures[1][:, ::-1], pictures[0], pictures[2]]
    together = nets[name].predict(pictures)
    alone = [nets[name].predict([picture])[0] for picture in pictures]
    for one, other in zip(together, alone, strict=True):
        if isinstance(one, dict):
            assert one["labels"].tolist() == other["labels"].tolist()
            np.testing.assert_allclose(one["boxes"], other["boxes"], atol=0.01)
        else:
            assert np.mean(one == other) > 0.999


@pytest.mark.parametrize("name", _mini_nets.NAMES["classification"])
def test_classifiers_know_the_mini_world(nets: dict[str, _mini_nets.MiniNet], name: str) -> None:
    scenes = [scene("imagenet", "val", index) for index in range(40)]
    pictures = [np.broadcast_to(s.pixels.reshape(*s.label.shape, -1), (*s.label.shape, 3)) for s in scenes]
    expected = [CLASS_INDICES[s.objects[0].kind] for s in scenes]
    outputs = nets[name].predict(pictures)
    assert np.mean([output[0] == truth for output, truth in zip(outputs, expected, strict=True)]) >= 0.75


@pytest.mark.parametrize("name", _mini_nets.NAMES["detection"])
def test_detectors_know_the_mini_world(nets: dict[str, _mini_nets.MiniNet], name: str) -> None:
    found, total = 0, 0
    for index in range(12):
        picture = scene("coco", "val", index)
        output = nets[name].predict([picture.pixels])[0]
        for truth in picture.objects:
            if truth.crowd:
                continue
            rows, columns = np.flatnonzero(truth.mask.any(1)), np.flatnonzero(truth.mask.any(0))
            box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            same = output["boxes"][(output["labels"] == CATEGORY_IDS[truth.kind]) & (output["scores"] > 0.2)]
            total += 1
            found += any(iou(box, other) > 0.5 for other in same)
    assert total > 20 and found / total >= 0.5


def iou(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    both = float(np.prod(sides.clip(0)))
    return both / (float(np.prod(a[2:] - a[:2])) + float(np.prod(b[2:] - b[:2])) - both)


@pytest.mark.parametrize("name", _mini_nets.NAMES["segmentation"])
def test_segmenters_know_the_mini_world(nets: dict[str, _mini_nets.MiniNet], name: str) -> None:
    table = np.full(256, 255)
    table[list(TRAIN_IDS)] = list(TRAIN_IDS.values())
    right, seen = 0, 0
    for index in range(8):
        picture = scene("cityscapes", "val", index)
        truth = table[picture.label]
        right += int((nets[name].predict([picture.pixels])[0] == truth).sum())
        seen += int((truth != 255).sum())
    assert right / seen >= 0.7


@pytest.mark.parametrize("name", ALL)
def test_folding_the_norms_changes_nothing(name: str) -> None:
    torch.manual_seed(0)
    module = build(name, 4).eval()
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(), part.running_var.uniform_(0.5, 2), part.weight.data.uniform_(0.5, 1.5)
    body = module.backbone if hasattr(module, "backbone") else module
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        before = body(x)
        fold_norms(module.requires_grad_(False))
        after = body(x)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in body.modules())
    pairs = (
        [(before, after)]
        if isinstance(before, torch.Tensor)
        else list(zip(before.values(), after.values(), strict=True))
    )
    for one, other in pairs:
        assert one.std() > 0
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def test_windows_are_centred() -> None:
    picture = noise((130, 40))[0]
    window = _mini_nets.centre_window(picture)
    assert np.array_equal(window[:, 44:84], picture[1:129]) and (window[:, :44] == 118).all()


def test_fingerprints(tmp_path: Path, nets: dict[str, _mini_nets.MiniNet]) -> None:
    assert len({net.fingerprint for net in nets.values()}) == len(ALL)
    copy = tmp_path / "other.safetensors"
    copy.write_bytes(nets["mini-fcn"].path.read_bytes())
    net = _mini_nets.load("mini-fcn", str(copy))
    assert net.fingerprint == nets["mini-fcn"].fingerprint
    assert net.spec == f"mini-fcn(weights={str(copy)!r})"
    copy.write_bytes(nets["mini-fcn"].path.read_bytes() + b" ")
    assert _mini_nets.load("mini-fcn", str(copy)).fingerprint != net.fingerprint


def test_nets_travel_to_other_processes(nets: dict[str, _mini_nets.MiniNet]) -> None:
    pictures = noise((40, 50))
    expected = nets["mini-fcn"].predict(pictures)
    other = pickle.loads(pickle.dumps(nets["mini-fcn"]))
    assert len(pickle.dumps(nets["mini-fcn"])) < 2000
    assert np.array_equal(other.predict(pictures)[0], expected[0])


def test_errors_say_what_to_do(tmp_path: Path, nets: dict[str, _mini_nets.MiniNet]) -> None:
    with pytest.raises(UserError, match="did you mean 'mini-fcos'"):
        _mini_nets.load("mini-fcso")
    with pytest.raises(UserError, match=r"no weights file .*gone.*icm-bench train mini-fcn"):
        _mini_nets.load("mini-fcn", str(tmp_path / "gone.safetensors"))
    with pytest.raises(UserError, match="not weights of mini-fcos but of mini-fcn"):
        _mini_nets.load("mini-fcos", str(nets["mini-fcn"].path)).setup()
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(nets["mini-fcn"].path.read_bytes()[:1000])
    with pytest.raises(UserError, match="not a readable weights file"):
        _mini_nets.load("mini-fcn", str(broken)).setup()


def test_foreign_tensors_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "foreign.safetensors"
    save_file({"head.weight": torch.zeros(3)}, path, {"mini_net": '{"name": "mini-resnet", "labels": [1, 2]}'})
    with pytest.raises(UserError, match="do not fit mini-resnet"):
        _mini_nets.load("mini-resnet", str(path)).setup()


def small_world(root: Path) -> Path:
    """Twelve tiny pictures in all three layouts."""
    rng = np.random.default_rng(5)
    (root / "gtFine/train/a").mkdir(parents=True)
    images, annotations = [], []
    for index in range(12):
        picture = rng.integers(0, 256, (40 + index, 52, 3), dtype=np.uint8)
        places = [root / f"train/w{index % 3}", root / "train2017", root / "leftImg8bit/train/a"]
        names = [f"{index}.png", f"{index}.png", f"{index}_leftImg8bit.png"]
        for place, name in zip(places, names, strict=True):
            place.mkdir(parents=True, exist_ok=True)
            write_png(place / name, picture)
        mask = rng.choice([0, 7, 255], picture.shape[:2]).astype(np.uint8)
        write_png(root / f"gtFine/train/a/{index}_gtFine_labelTrainIds.png", np.stack([mask] * 3, 2))
        images.append({"id": index, "file_name": f"{index}.png"})
        for crowd in (0, 1):
            box = {"bbox": [5, 6, 20, 10 + crowd], "area": 200.0, "iscrowd": crowd}
            annotations.append({**box, "id": len(annotations) + 1, "image_id": index, "category_id": 18})
    (root / "annotations").mkdir()
    content = {"images": images, "annotations": annotations, "categories": [{"id": 18}, {"id": 44}]}
    (root / "annotations/instances_train2017.json").write_text(json.dumps(content))
    index_of = {str(10 * n): [f"w{n}", f"name {n}"] for n in range(3)}
    (root / "imagenet_class_index.json").write_text(json.dumps(index_of))
    return root


def test_readers(tmp_path: Path) -> None:
    root = small_world(tmp_path)
    classes = data.read_train("imagenet", root)
    assert classes.labels == [0, 10, 20] and sorted(classes.truths) == [0] * 4 + [1] * 4 + [2] * 4
    boxes = data.read_train("coco", root)
    assert boxes.labels == [18, 44] and len(boxes.annotations[3]) == 2
    assert boxes.truths[0][0].tolist() == [[5, 6, 25, 16]] and boxes.truths[0][1].tolist() == [0]
    maps = data.read_train("cityscapes", root)
    assert maps.labels == [0, 7] and set(np.unique(maps.truths[0]).tolist()) == {0, 1, 255}
    learned, held_out = maps.split()
    assert sorted(learned + held_out) == list(range(12)) and len(held_out) == 1
    with pytest.raises(UserError, match="no coco train split"):
        data.read_train("coco", tmp_path / "nowhere")


def test_boxes_and_masks_move_with_the_picture() -> None:
    picture = np.full((90, 70, 3), 100, np.uint8)
    picture[30:50, 20:45] = 200
    boxes = np.array([[20, 30, 45, 50]], np.float32)
    augmentation = data.Augmentation(64, brightness=10, contrast=0.1)
    rng = np.random.default_rng(0)
    for _ in range(30):
        out, (moved, labels) = augmentation(rng, picture, (boxes, np.array([4])))
        assert out.shape == (64, 64, 3)
        bright = out[..., 0] > 150
        if len(moved):
            assert labels.tolist() == [4]
            columns, rows = np.flatnonzero(bright.any(0)), np.flatnonzero(bright.any(1))
            assert moved[0].tolist() == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        else:
            assert bright.sum() < 0.4 * 500
        out, mask = augmentation(rng, picture, (picture[..., 0] > 150).astype(np.uint8))
        assert np.array_equal(mask == 1, out[..., 0] > 150)


def test_stream_is_shuffled_passes_from_any_place() -> None:
    indices = [3, 5, 8, 9]
    whole = [value for value, _ in zip(data.stream(indices, 1, 0), range(12), strict=False)]
    assert all(sorted(whole[k : k + 4]) == indices for k in (0, 4, 8))
    assert len({tuple(whole[k : k + 4]) for k in (0, 4, 8)}) > 1
    later = [value for value, _ in zip(data.stream(indices, 1, 6), range(6), strict=False)]
    assert later == whole[6:]


def test_held_out_scores(tmp_path: Path) -> None:
    root = small_world(tmp_path)
    net = _mini_nets.make("mini-fcn")
    maps = data.read_train("cityscapes", root)
    perfect = [np.array([0, 7, *[0] * 253, 0])[maps.truths[k]] for k in (0, 1)]
    assert _mini_training.held_out_score(net, maps, [0, 1], perfect) == {"mIoU": 100.0}
    half = [np.zeros_like(output) for output in perfect]
    share = np.mean(np.concatenate([maps.truths[k][maps.truths[k] != 255] for k in (0, 1)]) == 0)
    assert _mini_training.held_out_score(net, maps, [0, 1], half)["mIoU"] == pytest.approx(50 * share)
    boxes = data.read_train("coco", root)
    output = {"boxes": np.array([[5.0, 6, 25, 16]]), "scores": np.array([0.9]), "labels": np.array([18])}
    scored = _mini_training.held_out_score(_mini_nets.make("mini-fcos"), boxes, [0], [output])
    assert scored["AP"] == pytest.approx(100)
    classes = data.read_train("imagenet", root)
    right, wrong = np.array([20, 0, 10]), np.array([0, 20, 10])
    last = [index for index, truth in enumerate(classes.truths) if truth == 2][:2]
    scored = _mini_training.held_out_score(_mini_nets.make("mini-resnet"), classes, last, [right, wrong])
    assert scored == {"top1": 50.0}


def toml(folder: Path, text: str) -> Path:
    path = folder / "net.toml"
    path.write_text(f'trainer = "tasks"\n{text}')
    return path


@pytest.mark.parametrize("name", ALL)
def test_training_writes_a_net_that_loads(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = small_world(tmp_path / "world")
    config = toml(tmp_path, f'net = "{name}"\nsteps = 2\nbatch = 3\nlr = 1e-3\nwindow = 32\n')
    places = ["--data", root, "--runs", tmp_path / "runs", "--out", tmp_path]
    status, told, _ = call(["train", config, *places], capsys)
    assert status == 0 and told.split() == [str(tmp_path / f"{name}.safetensors"), str(tmp_path / f"{name}.json")]
    card = json.loads((tmp_path / f"{name}.json").read_text("utf-8"))
    assert card["steps_done"] == 2 and card["pictures"] == {"learned": 11, "held_out": 1}
    net = _mini_nets.load(name, str(tmp_path / f"{name}.safetensors"))
    assert len(net.predict(noise((40, 40)))) == 1


def test_a_stopped_training_goes_on_to_the_same_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = small_world(tmp_path / "world")
    config = toml(tmp_path, 'net = "mini-resnet"\nsteps = 3\nbatch = 3\nlr = 1e-3\nwindow = 32\nnoise = 2.0\n')

    def weights(run: str, *more: str) -> bytes:
        assert call(["train", config, "--data", root, "--runs", tmp_path / run, *more], capsys)[0] == 0
        return (tmp_path / run / "net" / "mini-resnet.safetensors").read_bytes()

    unbroken = weights("a")
    stopped = weights("b", "--minutes", "0")
    assert stopped != unbroken
    assert weights("b") == unbroken
    assert weights("b") == unbroken


def test_a_backbone_can_be_the_start(tmp_path: Path) -> None:
    root = small_world(tmp_path)
    config = _mini_training.Config("mini-fcos", 1, 2, 1e-3, init="mini-resnet", window=32)
    recipe = _mini_training.MiniRecipe(config, data.read_train("coco", root))
    source = _mini_nets.WEIGHTS / "mini-resnet.safetensors"
    recipe.start_from(source)
    state, _ = _mini_nets.read_weights(source, "mini-resnet")
    own = recipe.model.state_dict()
    assert torch.equal(own["backbone.body.s8.0.conv1.weight"], state["s8.0.conv1.weight"])
    other = _mini_training.Config("mini-ssdlite", 1, 2, 1e-3, init="mini-resnet", window=32)
    with pytest.raises(UserError, match="backbone is not that of mini-ssdlite"):
        _mini_training.MiniRecipe(other, data.read_train("coco", root)).start_from(source)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('net = "mini-resnet"', "steps, batch, lr must be given"),
        ('net = "mini-resnt"\nsteps = 1\nbatch = 1\nlr = 1.0', "did you mean 'mini-resnet'"),
        ('net = "mini-resnet"\nstep = 1', "unknown key 'step': did you mean 'steps'"),
        ("net = ", ":2: not TOML: Invalid value"),
    ],
)
def test_wrong_configs_are_named(tmp_path: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, line = call(["train", toml(tmp_path, text), "--runs", tmp_path], capsys)
    assert status == 2
    assert message in line and line.count("\n") == 1
