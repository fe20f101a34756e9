"""icm-bench: what does a machine still see in the decoded picture, and for how many real bytes?

The package is a house with two open rooms beside the harness: ``icm_bench.methods`` (codecs) and
``icm_bench.tasks`` (what machines do with pictures). In a checkout these two folders lie beside this
package and not inside it; the last lines make them importable under their installed names.
"""

from pathlib import Path

__version__ = "0.1.0"

_here = Path(__file__).resolve().parent
if not (_here / "methods").is_dir() and (_here.parent / "methods").is_dir():
    __path__.append(str(_here.parent))
