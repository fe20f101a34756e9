"""Rows as a run would leave them, with plausible curves, for the tests of tables and plots."""

from __future__ import annotations

import pandas as pd

PIXELS = 94 * 640 * 480
COCO = "coco (built-in mini set, synthetic)"
STREETS = "cityscapes (built-in mini set, synthetic)"

# bpp, PSNR in dB, AP of the detector, mIoU of the segmenter
JPEG = [
    (0.243, 23.4, 14.5, 4.1),
    (0.350, 25.9, 22.5, 9.4),
    (0.532, 27.9, 28.6, 19.7),
    (0.822, 29.8, 29.3, 37.7),
]
VVC = [
    (0.104, 25.9, 23.1, 7.1),
    (0.225, 28.3, 28.4, 16.2),
    (0.439, 30.6, 28.7, 29.2),
    (0.782, 33.0, 29.0, 39.9),
    (1.309, 35.2, 29.2, 45.5),
]
PRIMARY = [
    (0.046, 19.7, 12.0, 7.8),
    (0.082, 20.9, 16.8, 9.9),
    (0.127, 21.6, 22.7, 11.5),
    (0.186, 22.2, 25.7, 14.2),
]
BOTH = [
    (0.169, 25.9, 23.9, 8.3),
    (0.245, 27.0, 26.8, 12.2),
    (0.333, 27.9, 27.6, 17.1),
    (0.435, 28.6, 28.7, 22.1),
]
UNCOMPRESSED = (12.1, None, 29.5, 57.6)


def row(method: str, rate_name: str, rate: float, beta: float | None, point: tuple) -> dict:
    """What rows of all tasks share."""
    bpp, psnr = point[:2]
    return {
        "method": method,
        "method_name": method.partition("(")[0],
        "checkpoint": "a1b2c3d4e5" if method.startswith("rdc") else "",
        "rate_name": rate_name,
        "rate": rate,
        "beta": beta,
        "profile": "orig",
        "rate_kind": "real",
        "data_fingerprint": "f00d",
        "n_pictures": 94,
        "n_expected": 94,
        "n_failed": 0,
        "error": None,
        "pixels_orig": PIXELS,
        "n_bytes": round(bpp * PIXELS / 8),
        "bpp": bpp,
        "bpp_mean": 1.03 * bpp,
        "psnr_mean": psnr,
        "ms_ssim_mean": 0.9,
        "encode_s": 9.4,
        "decode_s": 4.7,
        "lossless": method == "identity",
        "checkpoints": int(method.startswith("rdc")),
        "parameters": 1_800_000 if method.startswith("rdc") else 0,
    }


def coded() -> list[dict]:
    """Every coded point of four methods; AP and mIoU ride along."""
    made = [{**row("identity", "level", 0, None, UNCOMPRESSED), "AP": 29.5, "mIoU": 57.6}]
    for name, axis, rates, points in (
        ("jpeg", "quality", (5, 10, 20, 40), JPEG),
        ("vvc", "qp", (47, 42, 37, 32, 27), VVC),
    ):
        for rate, point in zip(rates, points, strict=True):
            made.append({**row(name, axis, rate, None, point), "AP": point[2], "mIoU": point[3]})
    for rate, (low, high) in enumerate(zip(PRIMARY, BOTH, strict=True)):
        for beta in (0.0, 0.25, 0.5, 0.75, 1.0):
            bpp = low[0] if beta == 1 else high[0]
            psnr, ap, miou = (b + (a - b) * beta**1.6 for a, b in zip(low[1:], high[1:], strict=True))
            # A little cognition-oriented detail helps the detector before it takes over.
            ap += 2.4 * beta * (1 - beta)
            made.append({**row("rdc", "gain", rate, beta, (bpp, psnr)), "AP": ap, "mIoU": miou})
    return made


def rows() -> pd.DataFrame:
    """One detector and one segmenter over two data sets."""
    made = []
    for point in coded():
        ap, miou = point.pop("AP"), point.pop("mIoU")
        ap_part = {"AP": ap, "AP50": ap * 1.6, "n_classes": 80}
        made.append(
            {**point, "task": "coco", "data": COCO, "net": "ssd-mini", "main_metric": "AP", "score": ap} | ap_part
        )
        miou_part = {"mIoU": miou, "n_classes": 19}
        place = {
            "task": "cityscapes",
            "data": STREETS,
            "net": "unet-mini",
            "main_metric": "mIoU",
            "score": miou,
        }
        made.append(point | place | miou_part)
    return pd.DataFrame.from_records(made)
