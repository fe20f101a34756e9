"""The conformance kit names what is wrong with bad plug-ins, and passes the built-in tasks."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from icm_bench import cli, registry, simd
from icm_bench.errors import UserError
from icm_bench.starting import file_name, starting_file
from icm_bench.testing import TaskTests
from icm_bench.testing.limits import CHECK_S
from icm_bench.testing.verdict import checks

ENCODE = "        steps = image >> (8 - int(rate))\n"
YIELD = "            yield (steps << (8 - bits)) + np.uint8(1 << (7 - bits))\n"
PICK = "        return [int(picture.mean(axis=(0, 1)).argmax()) for picture in pictures]\n"
SCORE = '        right = [one["said"] == one["truth"] for one in evidence.values()]\n'
LIST = '            return registry.task("imagenet").samples()\n'

BAD_METHODS = {
    "remembers": ([(ENCODE, f"        type(self).seen = image.copy()\n{ENCODE}"),
                   (YIELD, "            yield type(self).seen.copy()\n")],
                  "decodes from bytes alone in a fresh process", "has no attribute 'seen'"),
    "scribbles": ([(ENCODE, f"        image[0, 0] = 0\n{ENCODE}")], "input is left alone", "wrote into the picture"),
    "ignores_rate": ([(ENCODE, "        rate = 3\n" + ENCODE)], "bytes grow along the rate axis", "do not grow"),
    "rolls_dice": ([(ENCODE, f"        import os\n{ENCODE}"
                 "        noise = np.frombuffer(os.urandom(steps.size), np.uint8)\n"
                 "        steps = steps ^ (noise.reshape(steps.shape) & 1)\n")],
               "same picture same bytes", "other bytes"),
    "hangs": ([(YIELD, f"            import time\n            time.sleep(600)\n{YIELD}")],
              "round trip keeps type and size", "it takes more than 3 s; the checks after it are left out"),
    "under_reports": ([('{"main": zlib', '{"secret": image[0, 0].tobytes(), "main": zlib'),
                       (YIELD, YIELD + "            bitstream.layer('secret')\n"),
                       ("    level: int = 9\n", "    level: int = 9\n    layer_names = ('secret', 'main')\n\n"
                        "    def layers(self, beta):\n        return ('main',)\n")],
                      "charged layers are enough", "needs more than the charged layers"),
}  # fmt: skip
BAD_TASKS = {
    "shuffles": ([(LIST, '            import random\n            found = list(registry.task("imagenet").samples())\n'
                  "            random.shuffle(found)\n            return found\n")],
                 "order is stable", "another order"),
    "ordered": ([(SCORE, SCORE + "        right = [hit * (n + 1) for n, hit in enumerate(right)]\n"),
                 (PICK, "        return [n % 2 for n, _ in enumerate(pictures)]\n")],
                "score does not depend on order", "in reverse order"),
    "arrays": ([('"said": output', '"said": np.int64(output)')], "evidence survives json", "does not survive JSON"),
    "halves": ([("100 * sum(right)", "50 * sum(right)")],
               "perfect outputs score best", "perfect outputs score 50 in agreement, not 100"),
    "upside_down": ([('["said"] == one', '["said"] != one')], "undistorted pictures score best", "grey pictures"),
}  # fmt: skip


def _written(folder: Path, kind: str, name: str, changes: list[tuple[str, str]] = []) -> Path:  # noqa: B006
    text = starting_file(kind, name)
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / file_name(name)
    path.write_text(text)
    return path


def _faults(path: Path, seconds: float = CHECK_S) -> dict[str, str]:
    return {check.name: check.fault for check in checks(str(path), seconds) if check.fault}


@pytest.mark.parametrize("name", BAD_METHODS)
def test_bad_codecs_are_told_their_fault(tmp_path: Path, name: str) -> None:
    changes, check, fault = BAD_METHODS[name]
    seconds = 3 if name == "hangs" else CHECK_S
    assert fault in _faults(_written(tmp_path, "method", name, changes), seconds)[check]


@pytest.mark.parametrize("name", BAD_TASKS)
def test_bad_tasks_are_told_their_fault(tmp_path: Path, name: str) -> None:
    changes, check, fault = BAD_TASKS[name]
    assert fault in _faults(_written(tmp_path, "task", name, changes))[check]


def test_native_code_that_never_comes_back_is_named(tmp_path: Path) -> None:
    endless = f"            sum(__import__('itertools').repeat(0))\n{YIELD}"  # holds the interpreter's lock
    path = _written(tmp_path, "method", "stuck", [(YIELD, endless)])
    command = [sys.executable, "-m", "icm_bench", "test", str(path), "--seconds", "1"]
    done = subprocess.run(command, env=os.environ | simd.import_path(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(r'stuck\.py", line \d+ in decode', done.stderr)
    assert "in test_round_trip_keeps_type_and_size" in done.stderr


def test_a_setup_that_hangs_is_named(tmp_path: Path) -> None:
    setup = "    def setup(self, device='cpu'):\n        __import__('time').sleep(600)\n\n"
    path = _written(tmp_path, "method", "slow", [("    def encode", f"{setup}    def encode")])
    with pytest.raises(UserError, match=r"slow\.py cannot be set up: it takes more than 1 s"):
        _faults(path, 1)


def test_status_tells_faults_from_what_cannot_run(tmp_path: Path, capsys) -> None:
    path = _written(tmp_path, "method", "bad", BAD_METHODS["scribbles"][0])
    assert cli._status(["test", str(path)], False) == 1
    assert "FAIL  input is left alone: encode wrote into the picture it was given" in capsys.readouterr().out
    assert cli._status(["test", "jpg"], False) == 2
    assert "did you mean 'jpeg'" in capsys.readouterr().err


@pytest.fixture(scope="module", params=[name for name in registry.names("task") if name != "images"])
def task(request):
    return registry.task(request.param)


class TestBuiltInTasks(TaskTests):
    pass


class TestImages(TaskTests):
    """The task without nets, on pictures that the mini world wrote."""

    @pytest.fixture
    def task(self):
        return registry.task("images", data=str(registry.task("coco").samples()[0].path.parent))
