"""The scripts of examples/slurm, run by bash as slurmd would run them: the parts merge to the rows of a whole run."""

import os
import subprocess
import sys
from pathlib import Path

from plugin_world import lasting

EXAMPLES = Path(__file__).parents[1] / "examples" / "slurm"


def script(name, world, **variables):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "STORES": str(world.root / "parts"), **variables}
    done = subprocess.run(["bash", EXAMPLES / name], env=environment, capture_output=True, text=True, cwd=world.root)
    return done.returncode, done.stdout, done.stderr


def test_an_array_of_parts_and_the_job_that_merges_them(world):
    world.add_pictures(9)
    what = f"--method 'quant(fail_on=-1)' --task bright --data '{world.data}' --no-reference"
    for index in ("1", "2"):
        array = {"SLURM_ARRAY_TASK_ID": index, "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_CPUS_PER_TASK": "1"}
        status, _, error = script("part.sbatch", world, WHAT=what, **array)
        assert status == 0, error
        if index == "1":
            status, out, _ = script("merge.sbatch", world, OUT=str(world.root / "early"))
            assert status == 1 and "are in none of the stores" in out
    status, out, error = script("merge.sbatch", world, OUT=str(world.root / "all"))
    assert status == 0 and "bright" in out, error
    n_coded = world.logged("encode")
    found, events = world.run(methods=("quant(fail_on=-1)",), store=world.root / "all" / "store.sqlite")
    whole, _ = world.run(methods=("quant(fail_on=-1)",))
    assert events[0].n_cached == events[0].n_units == 18 == n_coded
    assert lasting(found) == lasting(whole)
