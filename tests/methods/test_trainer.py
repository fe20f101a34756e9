"""Every stage of training the codecs runs from its config, in order, and ends in a checkpoint that codes pictures."""

import json
from pathlib import Path

import pytest
import torch
from command import call

from icm_bench import registry
from icm_bench.config import opening, read_config
from icm_bench.errors import UserError
from icm_bench.images import write_png
from icm_bench.methods import _codec_training
from icm_bench.methods._codec_training import RateRange, draw_levels, start_auxiliary
from icm_bench.methods._judges import ResNet50Judge
from icm_bench.methods._networks import CodecConfig
from icm_bench.methods._trainable import CodecNet
from icm_bench.methods._trainer import STAGES, Config
from icm_bench.testing import textured_picture
from icm_bench.training.checkpoint import read_checkpoint

CODECS = {name: path for name, path in registry.training_configs().items() if path.parent.parent.name == "methods"}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven photographs, random weights of the public judges, and room for runs."""
    folder = tmp_path_factory.mktemp("training")
    (folder / "photos").mkdir()
    for index in range(11):
        write_png(folder / "photos" / f"{index:02}.png", textured_picture(100, 120, seed=index))
    from torchvision.models import resnet50, squeezenet1_1

    torch.save(squeezenet1_1().state_dict(), folder / "squeezenet1_1.pth")
    torch.save(resnet50().state_dict(), folder / "resnet50.pth")
    query = ResNet50Judge().net.state_dict()
    state = {f"module.encoder_q.{key}": value for key, value in query.items()}
    torch.save({"epoch": 800, "arch": "resnet50", "state_dict": state}, folder / "moco.pth.tar")
    return folder


def arguments(folder: Path) -> list[object]:
    files = {
        "squeezenet1_1": "squeezenet1_1.pth",
        "moco-resnet50": "moco.pth.tar",
        "torchvision:resnet50": "resnet50.pth",
    }
    weights = [part for name, file in files.items() for part in ("--weights", f"{name}={folder / file}")]
    return ["--photos", folder / "photos", "--runs", folder / "runs", "--threads", 1, *weights]


def in_order() -> list[str]:
    """The codecs' configs, each after those whose runs it starts from."""
    done: list[str] = []
    while len(done) < len(CODECS):
        for name in CODECS:
            if name not in done and needs(read_config(Config, CODECS[name])) <= {*done}:
                done.append(name)
    return done


def needs(config: Config) -> set[str]:
    return {config.init, config.mse, *(one.run for one in config.judge)} - {""}


def smaller(name: str, folder: Path) -> Path:
    """A shipped config with two steps on one or two small pictures; networks stay as they are."""
    for other in CODECS.values():
        if not (folder / other.name).exists():
            (folder / other.name).write_text(other.read_text())  # what it may be based on
    kept, table = [], ""
    for line in CODECS[name].read_text().splitlines():
        table = line if line.startswith("[") else table
        key = line.partition(" =")[0]
        if table or key not in ("steps", "batch", "crop", "photos", "mini"):
            kept.append(line)
    at = next((i for i, line in enumerate(kept) if line.startswith("[")), len(kept))
    kept[at:at] = ["steps = 2", "batch = 2", "crop = 64", "photos = 1.0", "mini = 0.0", ""]
    path = folder / f"{name}.toml"
    path.write_text("\n".join(kept) + "\n")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", in_order())
def test_every_shipped_config_trains(
    name: str, places: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_codec_training, "EVALUATION_COUNT", 1)
    monkeypatch.setattr(_codec_training, "EVALUATION_SIDE", 64)
    config = read_config(Config, CODECS[name])
    data = ["--data", _few_classes(places)] if name.endswith("base") and config.stage == "task" else []
    status, told, error = call(["train", smaller(name, places), *arguments(places), *data], capsys)
    assert status == 0, error
    step, tensors = read_checkpoint(places / "runs" / name / "last.safetensors")
    assert step == 2 and all(bool(value.isfinite().all()) for value in tensors.values())
    assert (places / "runs" / name / "log.csv").read_text().startswith("step,")
    if not config.releases:
        assert told.strip() == str(places / "runs" / name / "card.json")
        return
    weights, card_path = (Path(line) for line in told.split())
    card = json.loads(card_path.read_text())
    assert card["training"] == name and card["steps_done"] == 2 and card["sha256"]
    parameters = f"checkpoint={str(weights)!r}"
    spec = f"rdc({parameters})" if config.net.auxiliary else f"hyperprior({parameters}, variable=True)"
    made = registry.method(spec)
    if config.stage == "auxiliary":
        judges = read_config(Config, CODECS[config.init]).judge
        assert {*card["nets_seen"]} == {one.net for one in judges}, "what stage I saw, stage II tells too"
    picture = textured_picture(40, 50)
    rate = config.net.levels - 1
    decoded = list(made.decode(made.encode(picture, rate), made.betas))
    assert all(one.shape == picture.shape for one in decoded)
    assert made.provenance()["sha256"] == card["sha256"]


def _few_classes(folder: Path) -> Path:
    """An ImageNet train split of eleven pictures in two classes."""
    root = folder / "imagenet"
    if not root.is_dir():
        for index in range(11):
            place = root / "train" / f"n0000000{index % 2}"
            place.mkdir(parents=True, exist_ok=True)
            write_png(place / f"{index}.png", textured_picture(90, 100, seed=index))
        names = {"3": ["n00000000", "one"], "7": ["n00000001", "two"]}
        (root / "imagenet_class_index.json").write_text(json.dumps(names))
    return root


def test_a_config_may_change_another(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text('stage = "mse"\nsteps = 3\n[net]\nn = 8\nm = 12\n')
    (tmp_path / "two.toml").write_text('base = "one"\nsteps = 5\n[net]\nm = 16\n')
    made = read_config(Config, tmp_path / "two.toml")
    assert (made.stage, made.steps, made.net.n, made.net.m) == ("mse", 5, 8, 16)
    (tmp_path / "three.toml").write_text('base = "three"\n')
    with pytest.raises(UserError, match="base = 'three', but there is no other config"):
        read_config(Config, tmp_path / "three.toml")


@pytest.mark.parametrize("name", CODECS)
def test_shipped_configs_open_with_command_time_and_number(name: str) -> None:
    lines = opening(CODECS[name])
    assert lines[0].startswith(f"icm-bench train {name}")
    assert any(word in line.lower() for line in lines for word in ("minutes", "hours")), "no time"
    config = read_config(Config, CODECS[name])
    assert config.stage in STAGES and needs(config) <= {*CODECS}


@pytest.fixture
def tiny(places: Path, tmp_path: Path) -> Path:
    """A tiny MSE config."""
    path = tmp_path / "tiny.toml"
    path.write_text(
        'trainer = "methods"\nstage = "mse"\nreleases = "tiny"\nsteps = 4\nbatch = 2\ncrop = 64\nphotos = 1.0\n'
        "mini = 0.0\n[net]\nn = 8\nm = 12\n"
    )
    return path


def test_stage_two_leaves_the_primary_branch_alone(
    places: Path, tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tiny.read_text().replace('releases = "tiny"\n', "")
    two = base.replace('"mse"', '"auxiliary"').replace("steps = 4", 'steps = 2\ninit = "one"\nmse = "one"')
    (tmp_path / "one.toml").write_text(base)
    (tmp_path / "two.toml").write_text(two + "auxiliary = true\n")
    runs = ["--photos", places / "photos", "--runs", tmp_path / "runs", "--threads", 1]
    for name in ("one", "two"):
        assert call(["train", tmp_path / f"{name}.toml", *runs], capsys)[0] == 0
    one, two_ = (read_checkpoint(tmp_path / "runs" / name / "last.safetensors")[1] for name in ("one", "two"))
    primary = [key for key in one if key.startswith("model.primary.")]
    assert primary and all(torch.equal(one[key], two_[key]) for key in primary)
    assert any(key.startswith("model.auxiliary.") for key in two_)


def test_a_stopped_cognition_run_takes_the_steps_of_an_unbroken_one(
    places: Path, tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The queue of negatives is part of what a checkpoint keeps."""
    text = tiny.read_text().replace('"mse"', '"cognition"').replace("[net]", "[cognition]\nqueue = 8\n\n[net]")
    tiny.write_text(text + '\n[[judge]]\nnet = "squeezenet1_1"\n')
    for run, more in (("a", []), ("b", ["--minutes", 0]), ("b", [])):
        runs = ["--runs", tmp_path / run]
        assert call(["train", tiny, *arguments(places), *runs, *more], capsys)[0] == 0
    logs = [(tmp_path / run / "tiny" / "log.csv").read_text().splitlines() for run in "ab"]
    assert logs[0][-1].split(",")[0] == "4"
    weights = [read_checkpoint(tmp_path / run / "tiny" / "last.safetensors")[1] for run in "ab"]
    assert any(key.startswith("negatives.") for key in weights[0])
    assert all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())


def test_a_finished_training_is_not_run_again(
    places: Path, tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", tiny, "--photos", places / "photos", "--runs", tmp_path, "--threads", 1]
    assert call(command, capsys)[0] == 0
    before = (tmp_path / "tiny" / "last.safetensors").read_bytes()
    status, _, told = call(command, capsys)
    assert status == 0 and "tiny 4/4" in told
    assert (tmp_path / "tiny" / "last.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('stage = "mse"\nstepps = 3\n', "did you mean 'steps'"),
        ('stage = "msse"\nsteps = 3\n', "did you mean 'mse'"),
        ('stage = "mse"\nsteps = "3"\n', "steps is '3', expected a whole number"),
        ('stage = "mse"\nsteps = 3\n[net]\nk = 3\n', r"\[net\]: unknown key 'k'"),
        ('stage = "cognition"\nsteps = 3\n', r"\[\[judge\]\] goes with"),
        ('stage = "cognition"\nsteps = 3\n[[judge]]\nnet = "vgg"\n', "unknown judge 'vgg'"),
        ('stage = "cognition"\nsteps = 3\n[cognition]\ninside = "maybe"\n', "known are local, clip, off"),
        ("stage = \n", "bad.toml:1: not TOML: Invalid value"),
    ],
)
def test_wrong_configs_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(UserError, match=message):
        read_config(Config, tmp_path / "bad.toml")


def test_what_is_missing_is_one_line(
    places: Path, tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(config: Path | str, *more: object) -> str:
        status, _, error = call(["train", config, "--runs", tmp_path, *more], capsys)
        assert status == 2 and error.count("\n") == 1
        return error

    photos = ["--photos", places / "photos"]
    assert "give a folder of them with --photos" in told(tiny)
    assert "run the training 'trunk-mini' first" in told("hyperprior-mini", *photos)
    assert "did you mean 'trunk-mini'" in told("trunk-mni")
    assert "trainer must be given" in told(_without_trainer(tiny))
    assert "no such file" in told(tiny, "--weights", "a=nowhere.pth")
    assert "expected NAME=FILE" in told(tiny, "--weights", "nowhere.pth")
    judged = tiny.read_text().replace('"mse"', '"cognition"') + '\n[[judge]]\nnet = "moco-resnet50"\n'
    (tmp_path / "judged.toml").write_text(judged)
    assert "--weights moco-resnet50=FILE" in told(tmp_path / "judged.toml", *photos)
    wrong = ["--weights", f"moco-resnet50={places / 'squeezenet1_1.pth'}"]
    assert "no MoCo checkpoint" in told(tmp_path / "judged.toml", *photos, *wrong)


def _without_trainer(path: Path) -> Path:
    other = path.with_name("other.toml")
    other.write_text(path.read_text().replace('trainer = "methods"\n', ""))
    return other


def test_lambda_is_geometric_in_the_level() -> None:
    rates = RateRange(0.001, 0.032)
    assert torch.allclose(rates.at(torch.arange(6.0), 6), 0.001 * 2 ** torch.arange(6.0))
    assert rates.at(torch.zeros(2), 1).tolist() == pytest.approx([0.001, 0.001])


def test_levels_cover_the_axis() -> None:
    torch.manual_seed(0)
    levels = draw_levels(2000, 6, "cpu")
    assert levels.min() >= 0 and levels.max() <= 5
    whole = (levels == levels.round()).float().mean().item()
    assert 0.45 < whole < 0.55
    assert set(levels[levels == levels.round()].tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}
    assert draw_levels(5, 1, "cpu").tolist() == [0.0] * 5


@pytest.mark.parametrize("conditional", [True, False])
def test_the_auxiliary_branch_starts_as_the_trained_codec_of_the_residual(conditional: bool) -> None:
    torch.manual_seed(0)
    trained = CodecNet(CodecConfig(n=8, m=12)).eval()
    net = CodecNet(CodecConfig(n=8, m=12, auxiliary=True, conditional=conditional)).eval()
    start_auxiliary(net, trained)
    assert net.auxiliary is not None
    x, x1 = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        y = trained.primary.g_a(x)
        assert torch.allclose(net.auxiliary.g_a(torch.cat([x, x1], 1) if conditional else x), y, atol=1e-5)
        assert torch.allclose(net.auxiliary.g_s(y, x1 if conditional else None), trained.primary.g_s(y), atol=1e-5)
