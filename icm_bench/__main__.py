"""``python -m icm_bench`` is the command ``icm-bench``."""

from icm_bench.cli import main

main()
