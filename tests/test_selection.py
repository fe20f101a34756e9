"""Rows read from text tables, and filters."""

import json

import pandas as pd
import pytest
from synthetic_rows import rows

from icm_bench.curves import groups, series
from icm_bench.errors import UserError
from icm_bench.selection import Filter, read_rows, select


def test_filters():
    assert set(select(rows(), Filter(methods=("jpeg",))).method) == {"identity", "jpeg"}
    assert set(select(rows(), Filter(methods=("v*",), tasks=("coco",))).method) == {"identity", "vvc"}
    assert set(select(rows(), Filter(nets=("unet-mini",))).task) == {"cityscapes"}
    with pytest.raises(UserError, match="no results for method 'bpg': there are identity, jpeg, vvc, rdc"):
        select(rows(), Filter(methods=("bpg",)))
    with pytest.raises(UserError, match="no results with profile 'transtic': there are orig"):
        select(rows(), Filter(profile="transtic"))
    with pytest.raises(UserError, match="no results yet"):
        select(pd.DataFrame(), Filter())


def test_a_spec_is_found_by_its_name():
    held = rows().replace({"method": {"vvc": "vvc(preset='fast')"}})
    assert "vvc(preset='fast')" in set(select(held, Filter(methods=("vvc",))).method)


def test_text_tables_are_read_back(tmp_path):
    csv, listed, wrapped = tmp_path / "rows.csv", tmp_path / "list.json", tmp_path / "rows.json"
    rows().to_csv(csv, index=False)
    records = json.loads(rows().to_json(orient="records", double_precision=15))
    listed.write_text(json.dumps(records))
    wrapped.write_text(json.dumps({"format": 1, "rows": records}))
    expected = series(groups(rows())[1].rows)
    for path in (csv, listed, wrapped):
        for one, other in zip(expected, series(groups(read_rows(path))[1].rows), strict=True):
            assert (one.method, one.beta) == (other.method, other.beta)
            assert one.curve("AP").rates == other.curve("AP").rates
            assert one.curve("AP").values == pytest.approx(other.curve("AP").values)


def test_what_is_no_table_is_refused(tmp_path):
    with pytest.raises(UserError, match="there are no results here"):
        read_rows(tmp_path)
    with pytest.raises(UserError, match="there are no results here"):
        read_rows(tmp_path / "none.csv")
    foreign = tmp_path / "foreign.csv"
    foreign.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="lacks the columns bpp, data, method"):
        read_rows(foreign)
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(UserError, match="cannot be read as a table"):
        read_rows(broken)
