"""Results in the forms of other tools: CompressAI's JSON, CompressAI-Vision's summary.csv, codec-compare's batches,
and tidy tables.

Times leave as seconds for each picture, MS-SSIM linear, task scores as shares of one where the other tool has them
so. What comes in becomes rows of a text table with a ``source``; nothing of it was measured here, and it is drawn as
such.

Sources: CompressAI (compressai.utils.plot reads what is written here), CompressAI-Vision's
utils/gen_mpeg_cttc_csv.py, the README of webmproject/codec-compare.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icm_bench import records
from icm_bench.curves import Group, Series, beta_label, groups, series, short_spec
from icm_bench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from icm_bench.store import Store

#: One file: its name below the folder, and its content (text, or a table to be written by its ending).
File = tuple[str, "str | pd.DataFrame"]

_LONGEST_NAME = 100
_RECORD = ("sample", "n_bytes", "n_pixels", "psnr", "ms_ssim", "encode_s", "decode_s", "predict_s")


def export(form: str, rows: pd.DataFrame, store: Store | None) -> Iterator[File]:
    """The files of a format. Raises UserError for one that needs per-picture records where there is no store."""
    yield from EXPORTS[form](rows, store)


def _compressai(rows: pd.DataFrame, store: Store | None) -> Iterator[File]:
    for group, one in _curves(rows):
        held = one.rows
        results = {
            "bpp": _list(held["bpp"]),
            "psnr-rgb": _list(held["psnr_mean"]),
            "ms-ssim-rgb": _list(held["ms_ssim_mean"]),
            "encoding_time": _list(held["encode_s"] / held["n_pictures"]),
            "decoding_time": _list(held["decode_s"] / held["n_pictures"]),
        }
        results |= {name: _list(held[name]) for name in group.metrics}
        name = beta_label(one.label, one.beta)
        about = f"{group.data}{'' if group.net is None else ', ' + short_spec(group.net)}; real bytes, by icm-bench"
        text = json.dumps({"name": name, "description": about, "results": _without_gaps(results)}, indent=2)
        yield f"{group.slug}/{_slug(name)}.json", text + "\n"


def _vision(rows: pd.DataFrame, store: Store | None) -> Iterator[File]:
    import pandas as pd

    for group, one in _curves(rows):
        if group.main_metric:
            held = one.rows
            table = {
                "Dataset": group.data,
                "qp": held["rate"],
                "bpp": held["bpp"],
                "end_accuracy": held[group.main_metric] / 100,
                "enc_time": held["encode_s"] / held["n_pictures"],
                "dec_time": held["decode_s"] / held["n_pictures"],
            }
            yield f"{group.slug}/{_slug(beta_label(one.label, one.beta))}/summary.csv", pd.DataFrame(table)


def _codec_compare(rows: pd.DataFrame, store: Store | None) -> Iterator[File]:
    names = []
    fields = {
        "original_name": "Id of the picture", "quality": "Rate setting", "encoded_size": "Bytes, container included",
        "bpp": "Bits per original pixel", "psnr": "PSNR over RGB in dB", "msssim": "MS-SSIM, linear",
        "encoding_time": "Seconds", "decoding_time": "Seconds",
    }  # fmt: skip
    for group, one in _curves(rows):
        values = [
            [
                *(found.sample, float(row["rate"]), found.n_bytes, 8 * found.n_bytes / found.n_pixels),
                *(found.psnr, found.ms_ssim, found.encode_s, found.decode_s),
            ]
            for _, row in one.rows.iterrows()
            for found in _read(store, row)
        ]
        name = beta_label(one.label, one.beta)
        version = str(one.rows["version"].iloc[0]) if "version" in one.rows else ""
        time = str(one.rows["utc"].max()) if "utc" in one.rows else ""
        constants = {
            "name": (name, "Name of this batch"),
            "codec": (one.label, "Codec"),
            "version": (version, "Version of icm-bench"),
            "time": (time, "Time of the measurement"),
            "data": (group.data, "Data set"),
        }
        batch = {
            "constant_descriptions": [{key: about} for key, (_, about) in constants.items()],
            "constant_values": [value for value, _ in constants.values()],
            "field_descriptions": [{key: about} for key, about in fields.items()],
            "field_values": values,
        }
        names.append(f"{group.slug}/{_slug(name)}.json")
        yield names[-1], json.dumps(batch)
    yield "batches.json", json.dumps([[name] for name in names], indent=1)


def _rows(rows: pd.DataFrame, store: Store | None) -> Iterator[File]:
    flat = rows.copy()
    for name in flat.columns:
        if flat[name].map(lambda value: isinstance(value, dict | list)).any():
            flat[name] = flat[name].map(json.dumps)
    yield "rows", flat


def _records(rows: pd.DataFrame, store: Store | None) -> Iterator[File]:
    import pandas as pd

    keep = ["key", "task", "net", "data", "method", "checkpoint", "rate_name", "rate", "beta", "profile"]
    made = []
    for _, row in rows.iterrows():
        same = {name: row[name] for name in keep}
        made += [same | {name: getattr(one, name) for name in _RECORD} for one in _read(store, row)]
    yield "records", pd.DataFrame.from_records(made, columns=[*keep, *_RECORD])


#: Formats by name; "rows" and "records" are tables whose ending the caller chooses.
EXPORTS: dict[str, Callable[[Any, Any], Iterator[File]]] = {
    "compressai": _compressai,
    "compressai-vision": _vision,
    "codec-compare": _codec_compare,
    "rows": _rows,
    "records": _records,
}


def imported(form: str, path: Path, about: dict[str, str]) -> pd.DataFrame:
    """Rows of a foreign file. about: "name" of the method ("" takes the file's own), "data", "source", "metric" (the
    column of a task's metric), "rate_kind".

    Raises UserError naming the file and what it lacks.
    """
    import pandas as pd

    try:
        name, points, task = IMPORTS[form](path, about["metric"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise UserError(f"{path}: cannot be read as results of {form} ({type(error).__name__}: {error})") from error
    if points.empty or not (points["bpp"] > 0).all():
        raise UserError(f"{path}: expected at least one point with a positive bpp")
    metric = about["metric"] if task else None
    method = re.sub(r"[()'\"]", " ", about["name"] or name).strip()  # a spec's own signs mean something else
    same = {
        "method": method, "checkpoint": "", "beta": None, "profile": "orig",
        "rate_kind": about["rate_kind"], "task": task or "images", "task_spec": task or "images", "net": None,
        "data": about["data"], "main_metric": metric, "lossless": False, "source": about["source"], "error": None,
        "n_failed": 0, "rate_name": "point",
    }  # fmt: skip
    made = points.assign(**same)
    made["rate"] = range(len(made)) if "rate" not in made.columns else made["rate"]
    return pd.DataFrame(made)


def _from_compressai(path: Path, metric: str) -> tuple[str, pd.DataFrame, str | None]:
    import pandas as pd

    held = json.loads(path.read_text(encoding="utf-8"))
    results = held.get("results", held)
    n = len(results["bpp"])
    names = {"psnr-rgb": "psnr_mean", "psnr": "psnr_mean", "ms-ssim-rgb": "ms_ssim_mean", "ms-ssim": "ms_ssim_mean",
             metric: metric}  # fmt: skip
    table = {"bpp": results["bpp"]}
    table |= {ours: results[name] for name, ours in names.items() if len(results.get(name, ())) == n and name}
    return held.get("name", path.stem), pd.DataFrame(table).astype(float), None


def _from_vision(path: Path, metric: str) -> tuple[str, pd.DataFrame, str | None]:
    import pandas as pd

    table = pd.read_csv(path)
    bits = next((name for name in ("bpp", "avg_bpp") if name in table.columns), None)
    if bits is None:
        raise ValueError(f"no column bpp, only {', '.join(table.columns)}; a bitrate has no pixels to be a ratio of")
    made = pd.DataFrame({"bpp": table[bits], "rate": table["qp"], metric or "accuracy": 100 * table["end_accuracy"]})
    return path.parent.name, made.astype(float), "imported"


def _from_codec_compare(path: Path, metric: str) -> tuple[str, pd.DataFrame, str | None]:
    import pandas as pd

    held = json.loads(path.read_text(encoding="utf-8"))
    fields = [next(iter(one)) for one in held["field_descriptions"]]
    constants = [next(iter(one)) for one in held["constant_descriptions"]]
    told = dict(zip(constants, held["constant_values"], strict=True))
    table = pd.DataFrame(held["field_values"], columns=fields)
    pixels = 8 * table["encoded_size"] / table["bpp"]
    table = table.assign(_pixels=pixels).groupby("quality").agg(
        {"encoded_size": "sum", "_pixels": "sum", "psnr": "mean", "msssim": "mean"}
    )  # fmt: skip
    made = pd.DataFrame({"bpp": 8 * table["encoded_size"] / table["_pixels"], "psnr_mean": table["psnr"],
                         "ms_ssim_mean": table["msssim"], "rate": table.index})  # fmt: skip
    return str(told.get("name", told.get("codec", path.stem))), made.reset_index(drop=True).astype(float), None


#: Readers by name: (path, metric) to the method's name, its points, and the task where it is one.
IMPORTS: dict[str, Callable[[Path, str], tuple[str, Any, str | None]]] = {
    "compressai": _from_compressai,
    "compressai-vision": _from_vision,
    "codec-compare": _from_codec_compare,
}


def _curves(rows: pd.DataFrame) -> Iterator[tuple[Group, Series]]:
    for group in groups(rows):
        for one in series(group.rows):
            yield group, one


def _read(store: Store | None, row: pd.Series) -> list[records.Record]:
    if store is None:
        raise UserError("per-picture records are in a results folder's store; a text table holds none")
    return records.read(store, records.where_of(store, row["key"]))


def _list(values: pd.Series) -> list[float | None]:
    return [None if value != value else float(value) for value in values]


def _without_gaps(results: dict[str, list[float | None]]) -> dict[str, Sequence[float | None]]:
    """Only the columns that every point has: other tools read lists of equal length."""
    return {name: values for name, values in results.items() if None not in values}


def _slug(name: str) -> str:
    """A file's name without an ending: no folder, not hidden, not too long for a file system."""
    return re.sub(r"[^A-Za-z0-9.=-]+", "-", name).strip("-.")[:_LONGEST_NAME] or "unnamed"


