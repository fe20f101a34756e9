"""Rows against sums made by hand from the pictures; loading them back; per-picture records."""

import json
import math

import numpy as np
import pytest
from pytorch_msssim import ms_ssim as reference_ms_ssim

from icm_bench import registry, rows
from icm_bench.bitstream import Bitstream
from icm_bench.images import read_picture
from icm_bench.msssim import ms_ssim
from icm_bench.store import Store


def test_a_row_adds_up(world):
    (row,), _ = world.run(rates=(3,), betas=(1,))
    method = registry.method("quant")
    bits, pixels, errors, values = [], [], [], []
    for path in sorted(world.data.glob("*.png")):
        picture = read_picture(path)
        stream = Bitstream.from_bytes(method.encode(picture, 3).to_bytes())
        (decoded,) = method.decode(stream, [1])
        bits.append(8 * len(stream.only(["base"]).to_bytes()))
        pixels.append(picture.shape[0] * picture.shape[1])
        errors.append(int(((picture.astype(int) - decoded) ** 2).sum()))
        values.append(3 * pixels[-1])
    assert row["n_bytes"] * 8 == sum(bits)
    assert row["pixels_orig"] == sum(pixels)
    assert row["squared_error"] == sum(errors)
    assert row["bpp"] == sum(bits) / sum(pixels)
    assert row["bpp_mean"] == pytest.approx(np.mean([b / p for b, p in zip(bits, pixels, strict=True)]))
    per_picture = [10 * math.log10(255**2 * n / e) for n, e in zip(values, errors, strict=True)]
    assert row["psnr_mean"] == pytest.approx(np.mean(per_picture))
    assert row["psnr_global"] == pytest.approx(10 * math.log10(255**2 * sum(values) / sum(errors)))
    assert row["psnr_mean"] != pytest.approx(row["psnr_global"], abs=1e-6)
    assert row["ms_ssim_mean"] is None


def test_a_row_says_what_it_is_and_where_from(world):
    (row,), _ = world.run(rates=(3,), betas=(1,))
    assert (row["method"], row["method_name"], row["rate_name"], row["rate"]) == ("quant", "quant", "bits", 3)
    assert (row["task"], row["net"], row["main_metric"], row["profile"]) == ("bright", "mean", "hits", "orig")
    assert row["score"] == row["hits"]
    assert (row["n_expected"], row["n_pictures"], row["n_failed"], row["error"]) == (6, 6, 0, None)
    assert row["data"] == "bright, 6 pictures"
    for name in ("version", "python", "machine", "device", "threads", "seed", "utc", "libraries", "commit"):
        assert name in row
    assert row["libraries"]["numpy"] == np.__version__
    for name in ("n_bytes", "squared_error", "pixels_orig"):
        assert type(row[name]) is int
    assert json.loads(json.dumps(row, allow_nan=False)) == row


def test_a_limited_set_is_not_called_the_whole(world):
    (row,), _ = world.run(rates=(3,), betas=(1,), limit=2)
    assert row["data"] == "bright, 6 pictures, the first 2 only"
    assert (row["n_expected"], row["n_pictures"]) == (2, 2)


def test_load_gives_every_row_of_past_runs(world):
    world.run(rates=(2,))
    world.run(rates=(4,), betas=(0.5,), nets=("max",))
    world.run(methods=("jpeg",), tasks=("images",), rates=(50,))
    frame = rows.load(world.out / "store.sqlite")
    assert len(frame) == 4
    assert set(frame["task"]) == {"bright", "images"}
    assert frame["n_bytes"].dtype.kind == "i"
    assert frame.loc[frame["task"] == "images", "net"].isna().all()


def test_records_add_up_to_their_row(world):
    found, _ = world.run(rates=(2,))
    with Store(world.out / "store.sqlite") as store:
        for row in found:
            frame = rows.records(store, row["key"])
            assert list(frame["sample"]) == [path.stem for path in sorted(world.data.glob("*.png"))]
            assert frame["n_bytes"].sum() == row["n_bytes"]
            assert frame["n_pixels"].sum() == row["pixels_orig"]
            assert frame["squared_error"].sum() == row["squared_error"]
            assert frame["encode_s"].sum() == pytest.approx(row["encode_s"])
            seen = rows.evidence(store, row["key"])
            task = registry.task("bright", data=str(world.data))
            assert task.score(seen)["hits"] == row["hits"]
        with pytest.raises(KeyError):
            rows.records(store, "no such row")


def test_another_version_scores_again_without_coding(world, monkeypatch):
    before, _ = world.run()
    monkeypatch.setattr(rows, "SCORED_BY", "999")
    after, _ = world.run()
    assert [row["score"] for row in after] == [row["score"] for row in before]
    assert world.logged("encode") == 12
    with Store(world.out / "store.sqlite") as store:
        assert store.query("SELECT DISTINCT version FROM cells") == [("999",)]


def test_a_changed_data_set_is_noticed(world):
    before, _ = world.run()
    picture = min(world.data.glob("*.png"))
    picture.write_bytes(max(world.data.glob("*.png")).read_bytes())
    after, _ = world.run()
    assert [row["key"] for row in after] != [row["key"] for row in before]
    # Both names hold the same picture now, and that one was coded before.
    assert world.logged("encode") == 12
    with Store(world.out / "store.sqlite") as store:
        frame = rows.records(store, after[0]["key"])
    assert frame["n_bytes"].iloc[0] == frame["n_bytes"].iloc[-1]


@pytest.mark.parametrize("size", [(161, 161), (200, 233), (161, 402)])
def test_ms_ssim_is_that_of_the_torch_package(size):
    import torch

    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 255, (size[0] // 8 + 1, size[1] // 8 + 1, 3))
    first = np.kron(blocks, np.ones((8, 8, 1)))[: size[0], : size[1]].astype(np.uint8)
    second = np.clip(first + rng.normal(0, 25, first.shape), 0, 255).astype(np.uint8)
    planes = [torch.from_numpy(p.copy()).permute(2, 0, 1)[None].double() for p in (first, second)]
    assert ms_ssim(first, second) == pytest.approx(float(reference_ms_ssim(*planes, data_range=255)), abs=2e-6)
    assert ms_ssim(first, first) == 1
    assert ms_ssim(first[:160], second[:160]) is None
