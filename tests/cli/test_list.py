"""``icm-bench list``: complete, and light."""

import subprocess
import sys

from icm_bench import registry

_LISTING = """
import sys
from icm_bench.cli import main
try:
    main(["list"])
finally:
    heavy = {"torch", "torchvision", "compressai", "pandas", "matplotlib", "scipy"} & set(sys.modules)
    print("imported:", sorted(heavy))
"""


def test_everything_is_listed_and_nothing_heavy_imported():
    done = subprocess.run([sys.executable, "-c", _LISTING], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "imported: []"
    for kind in ("method", "task"):
        for name in registry.names(kind):
            summary = registry.plugin(kind, name).summary
            assert any(line.split()[:1] == [name] and line.endswith(summary) for line in lines)
    assert any("nets, built-in mini set:" in line for line in lines)
    assert any(line.strip().startswith("quality: ") for line in lines)


def test_a_plug_in_from_elsewhere_is_listed_without_its_import(world):
    script = _LISTING + '    print("plug-in:", "bench_test_plugins.quant" in sys.modules)\n'
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "from bench_test_plugins.quant" in done.stdout
    assert done.stdout.splitlines()[-1] == "plug-in: False"
