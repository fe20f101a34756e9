"""The file: versions, damage, full disks, two writers; what is kept and what is refused."""

import sqlite3
import threading

import pytest

from icm_bench.database import SCHEMA_VERSION
from icm_bench.errors import UserError
from icm_bench.store import Store, pack, unpack
from icm_bench.units import Coded, Decoded, Failure, Seen, UnitResult


def result(key="k", data=b"stream", beta=None, subject="task\nnet", sample="s"):
    coded = Coded("quant", "", 2.0, "picture", "orig", 4, 3, 12, 12, data, 0.1, {"program": "x"})
    decoded = Decoded(beta, len(data), {"main": 2}, 17, None, 0.2)
    return UnitResult(key, coded, (decoded,), (Seen(subject, beta, sample, 0.3, pack({"a": [1.5]})),))


@pytest.fixture
def path(tmp_path):
    with Store(tmp_path / "store.sqlite") as store:
        store.begin(lambda: {"machine": "m"})
        store.put(result())
    return tmp_path / "store.sqlite"


def test_what_was_put_is_known(path):
    with Store(path) as store:
        known = store.known(["k", "other"])
        assert known.streams == {"k"}
        assert known.decodes == {("k", None): 17}
        assert known.evidence == {("task\nnet", "k", None, "s")}
        assert store.stream("k") == b"stream"
        assert store.stream("other") is None


def test_pack_keeps_values_and_refuses_nan():
    assert unpack(pack({"b": [1, 2.25, None, "ü"]})) == {"b": [1, 2.25, None, "ü"]}
    with pytest.raises(ValueError, match="JSON compliant"):
        pack([float("nan")])


def test_a_second_put_of_the_same_unit_changes_nothing(path):
    with Store(path) as store:
        store.begin(dict)
        before = store.query("SELECT * FROM streams"), store.query("SELECT * FROM evidence")
        assert store.put(result()) == ()
        assert (store.query("SELECT * FROM streams"), store.query("SELECT * FROM evidence")) == before


def test_a_different_stream_under_the_same_key_is_a_failure(path):
    with Store(path) as store:
        store.begin(dict)
        (failure,) = store.put(result(data=b"other!"))
        assert "two different streams" in failure.error
        assert store.stream("k") == b"stream"


def test_errors_are_kept_until_the_unit_succeeds(path):
    with Store(path) as store:
        store.begin(dict)
        failure = Failure("encode", "CodecError: no")
        store.put(UnitResult("bad", failures=(failure,)))
        assert store.failures(["bad", "k"]) == {"bad": [failure]}
        store.put(result("bad", data=b"now it works"))
        assert store.failures(["bad"]) == {}


def test_a_unit_is_written_whole_or_not_at_all(path):
    broken = result("half")
    broken = UnitResult("half", broken.stream, broken.decodes, (Seen("t\nn", None, "s", 0.0, object()),))
    with Store(path) as store:
        store.begin(dict)
        with pytest.raises(UserError):
            store.put(broken)
        assert store.known(["half"]).streams == frozenset()
        store.put(result("after", subject="t\nn"))
        assert store.known(["after"]).evidence == {("t\nn", "after", None, "s")}


def test_hashes_notice_a_changed_file_and_name_a_missing_one(tmp_path):
    one = tmp_path / "one"
    one.write_bytes(b"abc")
    with Store(tmp_path / "s.sqlite") as store:
        first, missing = store.hashes([one, tmp_path / "two"])
        assert first == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        assert missing == f"unreadable:{tmp_path / 'two'}"
        assert store.hashes([one]) == [first]
        one.write_bytes(b"abd")
        assert store.hashes([one]) != [first]


def told(path, **options):
    with pytest.raises(UserError) as caught, Store(path, **options) as store:
        store.known(["k"])
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_newer_store_is_refused_and_left_alone(path):
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.commit()
    db.close()
    before = path.read_bytes()
    assert "newer icm-bench (store version 99" in told(path)
    assert path.read_bytes() == before


def test_an_older_store_is_brought_up_to_date(path):
    db = sqlite3.connect(path)
    added = {"streams": ("pixels_orig", "pixels_seen", "sha256"), "decodes": ("bits_estimated", "pixels")}
    for table, columns in added.items():
        for column in columns:
            db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    db.execute("DROP TABLE draws")
    db.execute("DROP TABLE requests")
    db.execute("DROP TABLE checks")
    db.execute("PRAGMA user_version=1")
    db.commit()
    db.close()
    with Store(path) as store:
        assert store.query("SELECT pixels_orig, pixels_seen FROM streams") == [(12, 12)]
        assert store.query("SELECT bits_estimated, pixels FROM decodes") == [(None, None)]
        assert store.stream("k") == b"stream" and store.query("PRAGMA user_version") == [(SCHEMA_VERSION,)]
    with Store(path) as store:
        store.begin(dict)
        assert store.put(result(key="another")) == ()


def test_a_foreign_database_is_refused(tmp_path):
    db = sqlite3.connect(tmp_path / "foreign.sqlite")
    db.execute("CREATE TABLE t (x)")
    db.close()
    assert "not a store of icm-bench" in told(tmp_path / "foreign.sqlite")


def test_a_store_cut_in_half_is_told(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert "damaged or cut short" in told(path)


def test_a_file_of_something_else_is_told(tmp_path):
    (tmp_path / "x.sqlite").write_text("hello " * 200)
    assert "not a store" in told(tmp_path / "x.sqlite")


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    told(tmp_path / "file" / "store.sqlite")


def test_reading_needs_a_store(tmp_path):
    assert "icm-bench run makes one" in told(tmp_path / "none.sqlite", create=False)
    assert not (tmp_path / "none.sqlite").exists()


def test_a_full_disk_is_told_and_earlier_units_stay(path):
    with Store(path) as store:
        store.begin(dict)
        pages = store.query("PRAGMA page_count")[0][0]
        store.query(f"PRAGMA max_page_count={pages + 2}")
        with pytest.raises(UserError, match="the disk is full"):
            store.put(result("big", data=bytes(100_000)))
    with Store(path) as store:
        assert store.known(["k", "big"]).streams == {"k"}


def test_two_writers_at_the_same_time(tmp_path):
    errors = []

    def write(name):
        try:
            with Store(tmp_path / "store.sqlite") as store:
                store.begin(dict)
                for index in range(50):
                    store.put(result(f"shared{index}"))
                    store.put(result(f"{name}{index}"))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with Store(tmp_path / "store.sqlite") as store:
        assert store.query("SELECT count(*) FROM streams")[0][0] == 150
        assert store.query("SELECT count(*) FROM evidence")[0][0] == 150
