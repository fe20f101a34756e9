"""From a tidy table of per-picture records, as ``icm-bench export records`` writes it, back to rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

#: What such a table has, and what its rows are told apart by.
NEEDED = frozenset(("sample", "n_bytes", "n_pixels", "method", "rate", "task", "net", "data"))
_KEYS = ["task", "net", "data", "method", "checkpoint", "rate_name", "rate", "beta", "profile"]


def is_records(table: pd.DataFrame) -> bool:
    """Whether a table holds one line for each picture."""
    return set(table.columns) >= NEEDED


def to_rows(records: pd.DataFrame) -> pd.DataFrame:
    """Rows: bytes and pixels summed, PSNR and MS-SSIM as means of those that are there, seconds summed.

    Task scores are no means over pictures and are not in such a table.
    """
    import pandas as pd

    keys = [name for name in _KEYS if name in records.columns]
    seconds = [name for name in ("encode_s", "decode_s", "predict_s") if name in records.columns]
    means = {ours: name for ours, name in (("psnr_mean", "psnr"), ("ms_ssim_mean", "ms_ssim")) if name in records}
    parts = records.groupby(keys, dropna=False, sort=False, observed=True)
    rows = parts.agg(
        n_pictures=("n_bytes", "size"), n_bytes=("n_bytes", "sum"), pixels_orig=("n_pixels", "sum"),
        **{name: (name, "sum") for name in seconds}, **{ours: (name, "mean") for ours, name in means.items()},
    ).reset_index()  # fmt: skip
    made = rows.assign(
        bpp=8 * rows["n_bytes"] / rows["pixels_orig"], n_expected=rows["n_pictures"], n_failed=0, rate_kind="real",
        lossless=rows["method"].eq("identity"),
    )  # fmt: skip
    return pd.DataFrame(made)
