"""What the judges of stage I see, and what keeps x1 inside 0 .. 1."""

from pathlib import Path

import pytest
import torch

from icm_bench.errors import UserError
from icm_bench.methods._cognition import feature_distance, local_mse
from icm_bench.methods._judges import Judge, ResNet50Judge, SqueezeNetJudge, make_judge
from icm_bench.methods._moco import Backbone, Negatives


def test_feature_distance_is_relative_to_the_spread_of_features() -> None:
    generator = torch.Generator().manual_seed(0)
    original = torch.randn(4, 8, 6, 6, generator=generator)
    assert feature_distance([original], [original]).abs().max() == 0
    noisy = original + 0.1 * torch.randn(original.shape, generator=generator)
    near = feature_distance([noisy], [original])
    assert near.mean().item() == pytest.approx(0.01, rel=0.2)
    assert torch.allclose(near, feature_distance([noisy * 50 + 3], [original * 50 + 3]), rtol=1e-3)


def test_channel_normalisation_gives_weak_channels_the_same_say() -> None:
    generator = torch.Generator().manual_seed(0)
    original = torch.randn(4, 2, 16, 16, generator=generator)
    loud = torch.tensor([10.0, 1.0]).view(1, 2, 1, 1)
    spoiled = original * loud
    spoiled[:, 1] = 0  # the quiet channel is lost
    by_map, by_channel = (feature_distance([spoiled], [original * loud], how).mean() for how in ("map", "channel"))
    assert by_map < 0.02 and by_channel > 0.05


def test_position_normalisation_sees_faint_places() -> None:
    generator = torch.Generator().manual_seed(0)
    original = torch.randn(4, 8, 16, 16, generator=generator)
    original[..., 8:] *= 0.05  # the right half is faint
    spoiled = original.clone()
    spoiled[..., 8:] = spoiled[..., 8:].flip(0)
    by_map, by_place = (feature_distance([spoiled], [original], how).mean() for how in ("map", "position"))
    assert by_map < 0.01 and by_place > 0.5
    louder = feature_distance([3 * original], [original], "position")
    assert louder.abs().max() < 1e-3, "only directions count"


def test_local_mse_charges_only_what_is_outside() -> None:
    x = torch.full((1, 3, 2, 2), 0.5)
    x1 = x.clone()
    assert local_mse(x1, x, "clipped").item() == 0 == local_mse(x1, x, "original").item()
    x1[0, 0, 0, 0] = 1.2
    assert local_mse(x1, x, "clipped").item() == pytest.approx(0.2**2 / 12)
    assert local_mse(x1, x, "original").item() == pytest.approx(0.7**2 / 12)


def judges() -> list[Judge]:
    torch.manual_seed(0)
    state = Backbone(16).state_dict()
    return [make_judge("moco", lambda: state, None), ResNet50Judge().eval(), SqueezeNetJudge().eval()]


@pytest.mark.parametrize("judge", judges(), ids=lambda judge: type(judge).__name__)
def test_maps_get_smaller_and_embeddings_have_unit_length(judge: Judge) -> None:
    torch.manual_seed(1)
    with torch.no_grad():
        maps = judge.features(torch.rand(2, 3, 64, 64))
        sides = [one.shape[-1] for one in maps]
        assert len(maps) == 4 and sides == sorted(sides, reverse=True)
        for depth in (-1, 0, 2):
            assert torch.allclose(judge.embed(maps, depth).norm(dim=1), torch.ones(2), atol=1e-5)


def test_the_public_moco_layout_is_read(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = ResNet50Judge().eval()
    query = {f"module.encoder_q.{key}": value for key, value in source.net.state_dict().items()}
    key = {f"module.encoder_k.{key}": torch.zeros_like(value) for key, value in source.net.state_dict().items()}
    queue = {"module.queue": torch.zeros(128, 4), "module.queue_ptr": torch.zeros(1)}
    content = {"epoch": 800, "arch": "resnet50", "state_dict": {**query, **key, **queue}}
    torch.save(content, tmp_path / "moco.pth.tar")
    judge = make_judge("moco-resnet50", dict, tmp_path / "moco.pth.tar")
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(judge.embed(judge.features(x)), source.embed(source.features(x)))
    assert not any(parameter.requires_grad for parameter in judge.parameters())


def test_weights_that_do_not_fit_are_one_line(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(3)}, tmp_path / "other.pth")
    for net, message in (("moco-resnet50", "no MoCo checkpoint"), ("squeezenet1_1", "do not fit")):
        with pytest.raises(UserError, match=message):
            make_judge(net, dict, tmp_path / "other.pth")


def test_a_query_is_told_from_the_queue() -> None:
    torch.manual_seed(0)
    negatives = Negatives(16, 32)
    key = torch.nn.functional.normalize(torch.randn(4, 16), dim=1)
    loss, accuracy = negatives.contrast(key, key, 0.2)
    other, chance = negatives.contrast(torch.roll(key, 1, 0), key, 0.2)
    assert accuracy == 1.0 and chance == 0.0 and loss.shape == (4,) and (loss < other).all()
    negatives.push(key)
    assert torch.equal(negatives.keys[:, :4].T, key)
