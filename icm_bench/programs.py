"""What an installation holds: packages, programs, data and weights, each with the command that mends it."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path

from icm_bench import registry
from icm_bench.datasets import remembered
from icm_bench.errors import UserError
from icm_bench.provenance import installed_version
from icm_bench.registry import EXTRAS

_PROBE_S = 20

#: The packages of each net back end: module, and the name it is installed under.
_BACKENDS: dict[str, dict[str, str]] = {
    "torchvision": {"torchvision": "torchvision"},
    "onnx": {"onnxruntime": "onnxruntime"},
    "timm": {"timm": "timm"},
    "mmseg": {
        "mmseg": "mmsegmentation", "mmengine": "mmengine", "mmcv": "mmcv-lite", "ftfy": "ftfy", "regex": "regex"
    },
    "detectron2": {"detectron2": "detectron2"},
}  # fmt: skip

#: Codecs inside of ffmpeg that methods use; VVC is the anchor of the main job.
_FFMPEG_CODECS = (
    ("encoder", "libvvenc", True),
    ("decoder", "vvc", True),
    ("encoder", "libx265", False),
    ("decoder", "hevc", False),
    ("encoder", "libaom-av1", False),
    ("decoder", "libdav1d", False),
    ("encoder", "libjxl", False),
    ("decoder", "libjxl", False),
)
#: Programs that are used when they are there: name, what it is, how to get it.
_PROGRAMS = (
    (
        "vvencapp",
        "VVenC encoder",
        "build https://github.com/fraunhoferhhi/vvenc and put vvencapp on the PATH",
    ),
    (
        "vvdecapp",
        "VVdeC decoder",
        "build https://github.com/fraunhoferhhi/vvdec and put vvdecapp on the PATH",
    ),
    (
        "EncoderAppStatic",
        "VTM encoder",
        "build VTM (vcgit.hhi.fraunhofer.de/jvet/VVCSoftware_VTM), put it on the PATH",
    ),
    (
        "DecoderAppStatic",
        "VTM decoder",
        "build VTM (vcgit.hhi.fraunhofer.de/jvet/VVCSoftware_VTM), put it on the PATH",
    ),
)


@dataclass(frozen=True)
class Check:
    """One finding. found: what is there, None when missing; needed: by the main job; fix: how to mend it."""

    group: str
    name: str
    found: str | None
    needed: bool
    fix: str = ""

    @property
    def is_well(self) -> bool:
        """Whether nothing has to be done for the main job."""
        return self.found is not None or not self.needed


def checks() -> Iterator[Check]:
    """All findings, one after another. Imports none of the packages it looks for, builds no data."""
    here = sys.version_info
    fits = (3, 11) <= here[:2] < (3, 13)
    text = f"{here.major}.{here.minor}.{here.micro}"
    yield Check("python", "python", text if fits else None, True, f"install Python 3.11 or 3.12, this is {text}")
    yield from packages()
    yield from backends()
    yield from extras()
    yield from ffmpeg()
    yield from pillow_formats()
    for name, what, fix in _PROGRAMS:
        yield Check("programs", f"{name} ({what})", shutil.which(name), False, fix)
    yield from real_data()
    yield from mini_data()
    yield from weights()


def packages() -> Iterator[Check]:
    """What the package itself requires, with the versions found."""
    from packaging.requirements import Requirement

    try:
        needed = [Requirement(text) for text in requires("icm-bench") or []]
    except PackageNotFoundError:
        yield Check("packages", "icm-bench", None, True, "pip install -e .")
        return
    for one in needed:
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        fix = f"pip install '{one.name}{one.specifier}'"
        try:
            found = version(one.name)
        except PackageNotFoundError:
            yield Check("packages", one.name, None, True, fix)
            continue
        fits = one.specifier.contains(found, prereleases=True)
        yield Check("packages", one.name, found if fits else None, True, f"{fix} (found {found})")


def backends() -> Iterator[Check]:
    """What nets can be taken from: each back end with the versions of its packages."""
    for name, parts in _BACKENDS.items():
        missing = [module for module in parts if find_spec(module) is None]
        if missing:
            fix = EXTRAS.get(missing[0], f"pip install {missing[0]}")
            yield Check("net back ends", f"{name}:...", None, False, fix)
            continue
        found = ", ".join(f"{package} {told}" for package in parts.values() if (told := installed_version(package)))
        if name == "mmseg" and find_spec("mmcv._ext") is None:
            found += " (without its compiled operators)"
        yield Check("net back ends", f"{name}:...", found or "installed", False)


def real_data() -> Iterator[Check]:
    """The full data sets: where ``icm-bench data add`` says they lie, and how many of their pictures are there."""
    for name in registry.names("task"):
        if not getattr(registry.load("task", name), "expected", 0):
            continue
        fix = f"icm-bench data add {name} PATH"
        try:
            held = remembered().get(name)
            found = None
            if held is not None:
                task = registry.task(name, data=held)
                found = f"{len(task.samples())} of {task.expected} pictures in {held}"
            yield Check("real data", name, found, False, fix)
        except UserError as error:
            yield Check("real data", name, None, False, f"{fix} ({error})")


def extras() -> Iterator[Check]:
    """Optional packages that are no back end of nets."""
    modules = {module for parts in _BACKENDS.values() for module in parts}
    for name, fix in EXTRAS.items():
        if name in modules:
            continue
        if find_spec(name) is None:
            yield Check("optional packages", name, None, False, fix)
            continue
        yield Check("optional packages", name, installed_version(name) or "installed", False, fix)


def ffmpeg() -> Iterator[Check]:
    """The ffmpeg of imageio-ffmpeg (or of the system), with the encoders and decoders that methods use."""
    fix = "pip install -U imageio-ffmpeg"
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        path = str(get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        path = shutil.which("ffmpeg") or ""
    if not path:
        yield Check("programs", "ffmpeg", None, True, fix)
        return
    first = _output(path, "-version").partition("\n")[0]
    yield Check("programs", "ffmpeg", " ".join(first.split()[:3]) or None, True, fix)
    for kind, codec, needed in _FFMPEG_CODECS:
        known = f"{kind.title()} {codec} [" in _output(path, "-hide_banner", "-h", f"{kind}={codec}")
        yield Check("programs", f"ffmpeg {kind} {codec}", "yes" if known else None, needed, fix)


def pillow_formats() -> Iterator[Check]:
    """Pillow's picture formats beside those that every Pillow has."""
    from PIL import features

    for name in ("webp", "avif"):
        found = features.version(name) if features.check(name) else None
        yield Check("programs", f"Pillow {name}", found, False, "pip install -U 'pillow>=11.3'")


def mini_data() -> Iterator[Check]:
    """The built-in mini sets, made on first use."""
    from icm_bench import mini

    for dataset in mini.DATASETS:
        for split in mini.SPLITS:
            # Looked for without ``ensure``, which would make a missing set; a run makes what it needs.
            home = mini._cache() / dataset
            there = str(home) if mini._finished(home, dataset, split) else None
            yield Check("mini data", f"{dataset} {split}", there, False, "made on first use by icm-bench run")


def weights() -> Iterator[Check]:
    """Weights that ship with the methods and tasks; a file that cannot be read counts as missing."""
    fix = "git checkout -- methods tasks, or pip install --force-reinstall --no-deps icm-bench"
    for kind in ("methods", "tasks"):
        spec = find_spec(f"icm_bench.{kind}")
        for folder in (spec.submodule_search_locations or []) if spec else []:
            for path in sorted(Path(folder).glob("weights/*.safetensors")):
                size = f"{path.stat().st_size / 1e6:.1f} MB"
                yield Check("weights", f"{kind}/weights/{path.name}", size if _is_whole(path) else None, True, fix)


def _is_whole(path: Path) -> bool:
    """Whether a safetensors file is as long as its header says."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > path.stat().st_size:
                return False
            header = json.loads(file.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        return path.stat().st_size == 8 + length + max(ends, default=0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error):
        return False


def _output(*command: str) -> str:
    """What a program prints, empty when it cannot be run."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PROBE_S, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace")
