"""Golden streams: yesterday's bytes, which every later decoder must still turn into the recorded pictures.

    FOLDER/picture.png                                what was coded
    FOLDER/METHOD/RATE.icm, RATE.json, RATE-BETA.png  a stream, what made it, and what it decodes to

A decoder of whole numbers must give the recorded pictures exactly; one with floating-point transforms may be one grey
level off, as sums are taken in another order elsewhere. The .json says which.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icm_bench import metrics, registry
from icm_bench.bitstream import Bitstream
from icm_bench.check.effort import flop_per_pixel
from icm_bench.check.verdict import Finding
from icm_bench.curves import slug_of
from icm_bench.errors import CodecError, UserError
from icm_bench.images import read_picture, write_png
from icm_bench.method import Beta, Method

if TYPE_CHECKING:
    import numpy as np

_PICTURE = "picture.png"


def check(folder: Path) -> Iterator[Finding]:
    """Decode every golden stream, and code the picture again. Raises UserError for a folder without streams."""
    notes = sorted(folder.glob("*/*.json"))
    if not notes:
        raise UserError(f"{folder}: there are no golden streams here; check --update --golden FOLDER makes some")
    picture = read_picture(folder / _PICTURE)
    for path in notes:
        where = f"golden {path.parent.name}/{path.stem}"
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            method = registry.method(told["method"])
            method.setup()
            yield _decoded(where, path, told, method)
            yield _coded(where, path, (picture, told["rate"]), method)
        except (UserError, CodecError, OSError, KeyError, ValueError) as error:
            text = f"no longer decodes ({error}): bitstream changed, version bump needed"
            yield Finding("worse", where, "golden", text, severity=float("inf"))


def _decoded(where: str, path: Path, told: dict[str, Any], method: Method) -> Finding:
    import numpy as np

    stream = Bitstream.from_bytes(path.with_suffix(".icm").read_bytes())
    betas: list[Beta] = [one["beta"] for one in told["pictures"]]
    largest, n_off = 0, 0
    for one, decoded in zip(told["pictures"], method.decode(stream, betas), strict=True):
        if metrics.pixel_digest(decoded) == one["pixels"]:
            continue
        recorded = read_picture(path.with_name(one["file"]))
        if recorded.shape != decoded.shape:
            raise UserError(f"decodes to {decoded.shape[1]}x{decoded.shape[0]} pixels")
        off = np.abs(recorded.astype(int) - decoded)
        largest, n_off = max(largest, int(off.max())), n_off + int((off > 0).sum())
    if largest > told["levels"]:
        text = (
            f"decodes to other pictures, up to {largest} grey levels off ({told['levels']} allowed): "
            "bitstream changed, version bump needed"
        )
        return Finding("worse", where, "golden", text, largest, told["levels"], "levels", severity=float("inf"))
    text = "decodes exactly" if not n_off else f"decodes with {n_off} values off by {largest} level"
    return Finding("same", where, "golden", text, largest, told["levels"], "levels")


def _coded(where: str, path: Path, what: tuple[np.ndarray, float], method: Method) -> Finding:
    picture, rate = what
    if method.encode(picture, rate).to_bytes() == path.with_suffix(".icm").read_bytes():
        return Finding("same", where, "golden bytes", "codes to the same bytes")
    return Finding("changed", where, "golden bytes", "the encoder gives other bytes for the same picture")


def record(folder: Path, picture: np.ndarray, method: Method, rates: list[float]) -> int:
    """Record streams of the picture that are not there yet; what is there is never written again. Returns how many.

    picture: uint8 (H, W, 3); the folder's own is used where it has one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / _PICTURE).is_file():
        write_png(folder / _PICTURE, picture)
    picture = read_picture(folder / _PICTURE)
    method.setup()
    home = folder / slug_of(method.spec, None)
    n_new = 0
    for rate in rates:
        path = home / f"{method.rate.name}-{rate:g}.json"
        if path.is_file():
            continue
        home.mkdir(exist_ok=True)
        stream = method.encode(picture, rate)
        path.with_suffix(".icm").write_bytes(stream.to_bytes())
        pictures = []
        for beta, decoded in zip(method.betas, method.decode(stream, method.betas), strict=True):
            file = path.with_name(path.stem + ("" if beta is None else f"-{beta:g}") + ".png")
            write_png(file, decoded)
            pictures.append({"beta": beta, "file": file.name, "pixels": metrics.pixel_digest(decoded)})
        told = {
            "method": method.spec,
            "checkpoint": method.checkpoint_id,
            "rate": rate,
            "levels": 1 if flop_per_pixel(method, picture, rate)[1] else 0,
            "pictures": pictures,
        }
        path.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        n_new += 1
    return n_new
