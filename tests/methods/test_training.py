"""Every stage of training the codecs runs from its config, in order, and ends in a checkpoint that codes pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch

from icm_bench import registry
from icm_bench.images import write_png
from icm_bench.methods._codec_training import RateRange, draw_levels, feature_distance, start_auxiliary
from icm_bench.methods._networks import CodecConfig
from icm_bench.methods._train import CONFIGS, STAGES, Config, main
from icm_bench.methods._trainable import CodecNet
from icm_bench.testing import textured_picture

TINY = "[net]\nn = 8\nm = 12\n"
STEPS = {
    "moco": 'stage = "moco"\nsteps = 2\nbatch = 4\nphotos = 1.0\nmini = 0.0\n[moco]\nqueue = 16\n',
    "mse": 'stage = "mse"\nsteps = 3\nbatch = 2\ncrop = 64\nphotos = 1.0\nmini = 0.0\n' + TINY,
    "one": 'stage = "cognition"\nsteps = 2\nbatch = 2\ncrop = 64\nphotos = 1.0\nmini = 0.0\n'
    'init = "mse"\nbackbone = "moco"\n' + TINY,
    "two": 'stage = "auxiliary"\nsteps = 2\nbatch = 2\ncrop = 64\nphotos = 1.0\nmini = 0.0\n'
    'init = "one"\nmse = "mse"\n' + TINY + "auxiliary = true\n",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all four stages have run."""
    folder = tmp_path_factory.mktemp("training")
    (folder / "photos").mkdir()
    for index in range(11):
        write_png(folder / "photos" / f"{index:02}.png", textured_picture(100, 120, seed=index))
    for name, text in STEPS.items():
        (folder / f"{name}.toml").write_text(text)
        release = ["--release", name, "--out", str(folder / "released")] if name in ("mse", "two") else []
        places = ["--photos", str(folder / "photos"), "--runs", str(folder / "runs"), "--threads", "1"]
        assert main([str(folder / f"{name}.toml"), *places, *release]) == 0
    return folder


def test_the_released_codecs_code_pictures(trained: Path) -> None:
    for method, name in (("hyperprior", "mse"), ("rdc", "two")):
        made = registry.method(f"{method}(checkpoint={str(trained / 'released' / name) + '.safetensors'!r})")
        picture = textured_picture(40, 50)
        decoded = list(made.decode(made.encode(picture, 1.5), made.betas))
        assert all(one.shape == picture.shape for one in decoded)
        card = made.provenance()
        assert card["training_config"]["stage"] == {"mse": "mse", "two": "auxiliary"}[name]
        assert card["steps_done"] == {"mse": 3, "two": 2}[name]


def test_stage_two_leaves_the_primary_branch_alone(trained: Path) -> None:
    one, two = (
        torch.load(trained / "runs" / name / "last.pt", weights_only=True)["model"] for name in ("one", "two")
    )
    primary = [key for key in one if key.startswith("primary.")]
    assert primary and all(torch.equal(one[key], two[key]) for key in primary)


def test_a_finished_training_is_not_run_again(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (trained / "runs" / "mse" / "last.pt").read_bytes()
    places = ["--photos", str(trained / "photos"), "--runs", str(trained / "runs"), "--threads", "1"]
    assert main([str(trained / "mse.toml"), *places]) == 0
    assert (trained / "runs" / "mse" / "last.pt").read_bytes() == before
    assert "mse 3/3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('stage = "mse"\nstepps = 3\n', "did you mean 'steps'"),
        ('stage = "msse"\nsteps = 3\n', "did you mean 'mse'"),
        ('stage = "mse"\nsteps = 3\n[net]\nk = 3\n', r"\[net\]: unknown key 'k'"),
        ("stage = \n", "not a readable TOML file"),
    ],
)
def test_wrong_configs_are_named(tmp_path: Path, text: str, message: str) -> None:
    from icm_bench.errors import UserError

    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(UserError, match=message):
        Config.read(tmp_path / "bad.toml")


def test_missing_pictures_and_runs_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "two.toml").write_text(STEPS["two"])
    assert main([str(tmp_path / "two.toml"), "--runs", str(tmp_path)]) == 2
    assert "run the training 'one' first" in capsys.readouterr().err
    (tmp_path / "mse.toml").write_text(STEPS["mse"])
    assert main([str(tmp_path / "mse.toml"), "--runs", str(tmp_path)]) == 2
    assert "--photos" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_configs_are_valid_and_name_each_other(path: Path) -> None:
    config = Config.read(path)
    assert config.stage in STAGES
    known = {other.stem for other in CONFIGS.glob("*.toml")}
    assert {config.init, config.mse, config.backbone} - {""} <= known
    assert path.read_text().startswith("# python -m icm_bench.methods._train " + path.stem)


def test_lambda_is_geometric_in_the_level() -> None:
    rates = RateRange(0.001, 0.032)
    assert torch.allclose(rates.at(torch.arange(6.0), 6), 0.001 * 2 ** torch.arange(6.0))


def test_levels_cover_the_axis() -> None:
    torch.manual_seed(0)
    levels = draw_levels(2000, 6, "cpu")
    assert levels.min() >= 0 and levels.max() <= 5
    whole = (levels == levels.round()).float().mean().item()
    assert 0.45 < whole < 0.55
    assert set(levels[levels == levels.round()].tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}


def test_feature_distance_is_relative_to_the_spread_of_features() -> None:
    generator = torch.Generator().manual_seed(0)
    original = torch.randn(4, 8, 6, 6, generator=generator)
    assert feature_distance([original], [original]).abs().max() == 0
    noisy = original + 0.1 * torch.randn(original.shape, generator=generator)
    near = feature_distance([noisy], [original])
    assert near.mean().item() == pytest.approx(0.01, rel=0.2)
    assert torch.allclose(near, feature_distance([noisy * 50 + 3], [original * 50 + 3]), rtol=1e-3)


def test_the_auxiliary_branch_starts_as_the_trained_codec_of_the_residual() -> None:
    torch.manual_seed(0)
    trained = CodecNet(CodecConfig(n=8, m=12)).eval()
    net = CodecNet(CodecConfig(n=8, m=12, auxiliary=True)).eval()
    start_auxiliary(net, trained)
    assert net.auxiliary is not None
    x, x1 = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        y = trained.primary.g_a(x)
        assert torch.allclose(net.auxiliary.g_a(torch.cat([x, x1], 1)), y, atol=1e-5)
        assert torch.allclose(net.auxiliary.g_s(y, x1), trained.primary.g_s(y), atol=1e-5)
    assert np.isfinite(y.numpy()).all()
