"""Rows for tables and plots: read from a store or a text table, completed, and filtered."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from icm_bench.aggregate import is_records, to_rows
from icm_bench.errors import UserError
from icm_bench.sheets import read_csv
from icm_bench.spec import parse_spec

if TYPE_CHECKING:
    import pandas as pd

#: The rate of profiles that resize pictures first: the mean over pictures of bits per pixel of what they made.
BPP_INPUT = "bpp_input_mean"
#: Endings of files that are tables and no stores.
TEXT_TABLES = (".csv", ".json", ".parquet")
#: Endings of the columns that hold the two ends of an interval.
BOUNDS = ("_low", "_high")
#: Columns of a row that tables and plots read as numbers; those absent count as empty.
_NUMBERS = (
    "rate", "beta", "n_pictures", "n_expected", "n_failed", "pixels_orig", "n_bytes", "bpp", BPP_INPUT, "psnr_mean",
    "ms_ssim_mean", "encode_s", "decode_s", "score", "checkpoints", "parameters",
    "n_verified", "n_verify_failed",
)  # fmt: skip
#: Columns that they read as text.
_TEXTS = (
    "method", "checkpoint", "rate_name", "profile", "rate_kind", "task", "data", "data_fingerprint",
    "samples", "net", "main_metric", "error", "source", "verified",
)  # fmt: skip
#: Further columns of a row.
_OTHERS = (
    "key", "n_exact", "n_ms_ssim", "n_workers", "n_sessions", "method_name", "layer_bytes", "squared_error",
    "levels_apart", "bpp_mean", "bpp_coded", "bpp_input", "bpp_estimated_mean",
    "psnr_global", "pixels_coded", "pixels_input", "predict_s",
    "lossless", "higher_is_better", "task_spec", "net_fingerprint", "errors", "method_provenance", "version",
    "commit", "python", "libraries", "machine", "device", "threads", "seed", "utc",
)  # fmt: skip
#: All columns that are no metric of a task.
PLAIN_COLUMNS = frozenset([*_NUMBERS, *_TEXTS, *_OTHERS])


@dataclass(frozen=True)
class Filter:
    """What to keep; empty keeps all. Names match a spec, its bare name, or a pattern with ``*``."""

    tasks: tuple[str, ...] = ()
    nets: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    profile: str | None = None
    rate_kind: str | None = None


def read_rows(path: Path) -> pd.DataFrame:
    """Rows of a results folder, of a store, or of a CSV, JSON or Parquet table, of rows or of per-picture records.

    Raises UserError.
    """
    import pandas as pd

    from icm_bench.store import store_of

    path = store_of(path)
    if not path.exists():
        raise UserError(f"{path}: there are no results here; icm-bench run makes some")
    if path.suffix not in TEXT_TABLES:
        from icm_bench.rows import load

        rows: pd.DataFrame = load(path)
        return rows
    try:
        if path.suffix == ".csv":
            table = read_csv(path)
        elif path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            import json

            held = json.loads(path.read_text(encoding="utf-8"))
            table = pd.DataFrame.from_records(held["rows"] if isinstance(held, dict) else held)
    except (ValueError, KeyError, TypeError, OSError, ImportError) as error:
        raise UserError(f"{path}: cannot be read as a table of rows ({error})") from error
    if is_records(table):
        table = to_rows(table)
    missing = sorted({"method", "rate", "task", "net", "bpp", "data"} - set(table.columns))
    if missing:
        raise UserError(f"{path}: is no table of rows, it lacks the columns {', '.join(missing)}")
    return table


def complete(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with every column that tables and plots read, numbers as numbers."""
    import pandas as pd

    wanted = [*_NUMBERS, *_TEXTS, "lossless"]
    full = rows.reindex(columns=[*rows.columns, *(name for name in wanted if name not in rows.columns)])
    return full.assign(**{name: pd.to_numeric(full[name], errors="coerce") for name in _NUMBERS})


def select(rows: pd.DataFrame, chosen: Filter) -> pd.DataFrame:
    """The rows that pass the filter. Raises UserError, saying what there is, when none does."""
    import pandas as pd

    if rows.empty:
        raise UserError("there are no results yet: start with icm-bench run --method rdc --task coco")
    kept = complete(rows)
    for column, wanted in (("task", chosen.tasks), ("net", chosen.nets), ("method", chosen.methods)):
        if wanted:
            known = kept[column].dropna().unique()
            for one in wanted:
                if not any(matches(value, one) for value in known):
                    raise UserError(f"no results for {column} {one!r}: there are {', '.join(map(str, known))}")
            keep = [isinstance(value, str) and any(matches(value, one) for one in wanted) for value in kept[column]]
            if column == "method":
                # The uncompressed line belongs to every choice of methods.
                keep = [a or b for a, b in zip(keep, lossless(kept), strict=True)]
            kept = kept[pd.Series(keep, index=kept.index)]
    for column, value in (("profile", chosen.profile), ("rate_kind", chosen.rate_kind)):
        if value is not None:
            known = kept[column].dropna().unique()
            kept = kept[kept[column] == value]
            if kept.empty:
                raise UserError(f"no results with {column} {value!r}: there are {', '.join(map(str, known))}")
    return kept


def matches(value: str, wanted: str) -> bool:
    """Whether a spec is the wanted one, has the wanted name, or fits the wanted pattern.

    One of a file is found by the file's name, with or without .py, and by its path.
    """
    if value == wanted or ("*" in wanted and fnmatchcase(value, wanted)):
        return True
    name = parse_spec(value)[0]
    if name.endswith(".py"):
        return wanted in (name, Path(name).name, Path(name).stem) or Path(name) == Path(wanted).absolute()
    return name == wanted


def lossless(rows: pd.DataFrame) -> pd.Series:
    """Which rows are the uncompressed pass-through (a text table may hold words, or nothing)."""
    return rows["lossless"].astype(str).str.lower().isin(["true", "1", "1.0"])
