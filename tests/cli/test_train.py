"""``icm-bench train`` as a user meets it: the list, a stopped run, and what a killed one leaves."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from command import call

from icm_bench import registry
from icm_bench.images import write_png
from icm_bench.testing import textured_picture
from icm_bench.training.checkpoint import read_checkpoint


@pytest.fixture
def command(tmp_path: Path) -> list[object]:
    """A tiny training of 40 steps."""
    (tmp_path / "photos").mkdir()
    for index in range(11):
        write_png(tmp_path / "photos" / f"{index:02}.png", textured_picture(70, 80, seed=index))
    (tmp_path / "tiny.toml").write_text(
        'trainer = "methods"\nstage = "mse"\nreleases = "tiny"\nsteps = 40\nbatch = 2\ncrop = 64\nphotos = 1.0\n'
        "mini = 0.0\n[net]\nn = 8\nm = 12\n"
    )
    places = ["--photos", tmp_path / "photos", "--runs", tmp_path / "runs", "--threads", 1]
    return ["train", tmp_path / "tiny.toml", *places]


def test_without_a_config_all_are_listed(capsys):
    status, told, _ = call(["train"], capsys)
    assert status == 0
    assert [line.split()[0] for line in told.splitlines()] == list(registry.training_configs())
    assert all(len(line.split()) > 4 for line in told.splitlines()), "each says what it is"


def test_time_that_is_up_stops_and_releases_and_the_same_call_goes_on(command, tmp_path, capsys):
    status, told, error = call([*command, "--minutes", 0], capsys)
    assert status == 0 and "1 of 40 steps done; the same command goes on" in error
    assert told.split() == [str(tmp_path / "runs/tiny/tiny.safetensors"), str(tmp_path / "runs/tiny/tiny.json")]
    status, _, error = call([*command, "--steps", 5], capsys)
    assert status == 0 and "tiny 5/5" in error
    assert "loss" in error and "bpp" in error and "psnr" in error and "held out at step 5" in error


@pytest.mark.slow
def test_a_killed_training_resumes_to_the_curve_of_an_unbroken_one(command, tmp_path, capsys):
    """Killed for good after its first checkpoint, at step 500."""
    (tmp_path / "tiny.toml").write_text((tmp_path / "tiny.toml").read_text().replace("steps = 40", "steps = 510"))
    words = [str(word) for word in command]
    process = subprocess.Popen([sys.executable, "-m", "icm_bench", *words], env=os.environ, stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "runs/tiny/last.safetensors"
    while not checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert call(command, capsys)[0] == 0
    whole = [tmp_path / "whole" if word == tmp_path / "runs" else word for word in command]
    assert call(whole, capsys)[0] == 0
    runs = [tmp_path / name / "tiny" for name in ("runs", "whole")]
    curves = [list(csv.DictReader((run / "log.csv").open())) for run in runs]
    assert curves[0][-1]["step"] == "510" and curves[0] == curves[1]
    broken, unbroken = (read_checkpoint(run / "last.safetensors")[1] for run in runs)
    assert all(torch.equal(value, unbroken[key]) for key, value in broken.items())
