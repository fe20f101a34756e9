"""Runs that are killed at random moments and given again: is a result lost, made twice, or another one?

    python benchmarks/kills.py [--kills 100] [--seed 0]

Each case, a codec on a task with one or two workers, runs unbroken once. Then the same command is killed by SIGKILL,
half of the times its main process and half a random worker, and given again, into the same store, until it comes
through; then the next store begins. Half of the moments are random over the whole life of a run, half over the time
since it has stored its first unit. A run whose worker was killed has to come through by itself. Stores that came
through are compared with the unbroken one: every table, and the rows as ``icm-bench table`` writes them. Prints
counts; the exit status is 1 when anything was lost, twice, or different.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from icm_bench.rows import VOLATILE

_TOOL = (sys.executable, "-m", "icm_bench")
_ORPHANS_S = 60.0
#: What stays the same from run to run of each table: row numbers, sessions and seconds are left out.
_LASTING = {
    "streams": "SELECT s.key, m.method, m.checkpoint, m.provenance, s.rate, s.picture, s.profile, s.width, s.height,"
    " s.n_bytes, s.data, s.pixels_orig, s.pixels_seen FROM streams s LEFT JOIN makers m ON s.maker=m.id",
    "decodes": "SELECT s.key, d.beta, d.n_bytes, d.layer_bytes, d.squared_error, d.ms_ssim, d.bits_estimated,"
    " d.pixels FROM decodes d LEFT JOIN streams s ON d.stream=s.id",
    "evidence": "SELECT s.key, u.task, u.net, e.beta, e.sample, e.data FROM evidence e"
    " LEFT JOIN streams s ON e.stream=s.id LEFT JOIN subjects u ON e.subject=u.id",
    "errors": "SELECT stream_key, subject, beta, sample, stage, error FROM errors",
    "sets": "SELECT digest, members FROM sets",
    "cells": "SELECT key, version, n_failed, members, coding, beta, subject, row FROM cells",
}


@dataclass(frozen=True)
class Case:
    """A run: its name, the options of ``icm-bench run`` but --out and --workers, and the number of workers."""

    name: str
    options: tuple[str, ...]
    workers: int

    def start(self, home: Path) -> subprocess.Popen[bytes]:
        """The command, into the store in ``home``; what it says lies in home/said."""
        words = [*_TOOL, "run", *self.options, "--workers", str(self.workers), "--out", str(home)]
        home.mkdir(exist_ok=True)
        with (home / "said").open("wb") as said:
            return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=said)


@dataclass
class Tally:
    """What was done, and what was found wrong, in words."""

    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


class Torture:
    """The kills of one case, in a folder of its own."""

    def __init__(self, case: Case, folder: Path, seed: int) -> None:
        self.case, self.folder, self.random = case, folder, random.Random(seed)
        self.tally, self.n_stores = Tally(), 0
        self.home = folder / "unbroken"
        start = time.perf_counter()
        process = self._begun()
        self._first_unit(process)
        self.first_s = time.perf_counter() - start
        self._check(process.wait())
        self.seconds = time.perf_counter() - start
        self.unbroken = lasting(self.home / "store.sqlite"), table(self.home)
        self._new_store()

    def kill(self, victim: str) -> None:
        """Start the command and kill its "main" process or a "worker", at a moment that falls into its life."""
        while True:
            process = self._begun()
            if self.random.random() < 0.5:
                time.sleep(self.random.uniform(0, self.seconds))
            else:
                self._first_unit(process)
                missing = 1 - self.held / len(self.unbroken[0]["streams"])
                time.sleep(self.random.uniform(0, missing * (self.seconds - self.first_s)))
            workers = children(process.pid)
            while victim == "worker" and not workers and process.poll() is None:
                time.sleep(0.002)
                workers = children(process.pid)
            pid = process.pid if victim == "main" else self.random.choice(workers or [0])
            if process.poll() is None and pid and send(pid):
                break
            self._came_through(process)  # before the kill: a new store, and once more
        self.tally.done[f"{victim} killed"] += 1
        if victim == "worker":
            self._came_through(process)
            return
        process.wait()
        for pid in workers:  # each finishes its unit, finds nobody to give it to, and goes
            if not gone(pid):
                self.tally.wrong.append(f"a worker outlives its run by {_ORPHANS_S:g} s")
        self.tally.done["left a store of some units"] += 0 < n_streams(self.home) < len(self.unbroken[0]["streams"])

    def end(self) -> Tally:
        """Give the command a last time, unless the last one has come through."""
        if self.home.exists():
            self._came_through(self._begun())
        return self.tally

    def _begun(self) -> subprocess.Popen[bytes]:
        self.held = n_streams(self.home)
        return self.case.start(self.home)

    def _first_unit(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until the store holds more than it did, or the run has ended."""
        while n_streams(self.home, check=False) == self.held and process.poll() is None:
            time.sleep(0.01)

    def _came_through(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for a run's end; compare what it has left, also after another call; then a new store."""
        self._check(process.wait())
        self.held = n_streams(self.home)
        self._finish()
        content, rows = lasting(self.home / "store.sqlite"), table(self.home)
        for name, wanted in self.unbroken[0].items():
            if content[name] != wanted:
                counts = f"{len(content[name])} for {len(wanted)}"
                self.tally.wrong.append(f"{self.home}: other {name} than in the unbroken one, {counts}")
        if rows != self.unbroken[1]:
            self.tally.wrong.append(f"{self.home}: the table differs")
        self.tally.done["stores compared"] += 1
        self._new_store()

    def _finish(self) -> None:
        self.held = n_streams(self.home)
        self._check(self.case.start(self.home).wait())

    def _check(self, status: int) -> None:
        """The exit status, and that all that the store held was taken from there."""
        said = (self.home / "said").read_text()
        counted = re.search(r"rates x methods\): \d+(?:, (\d+) of them)?", said)
        taken = int(counted[1] or 0) if counted else -1
        if status != 0 or taken != self.held:
            text = " ".join(said.split())
            self.tally.wrong.append(f"{self.home}: status {status}, {self.held} kept, {taken} taken ({text})")

    def _new_store(self) -> None:
        self.n_stores += 1
        self.home = self.folder / f"store{self.n_stores}"


def n_streams(home: Path, check: bool = True) -> int:
    """Units that a store holds; raises sqlite3.DatabaseError for a damaged file, if it is checked."""
    path = home / "store.sqlite"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as db:
        (well,) = db.execute("PRAGMA integrity_check").fetchone() if check else ("ok",)
        if well != "ok":
            raise sqlite3.DatabaseError(f"{path}: {well}")
        if not db.execute("SELECT count(*) FROM sqlite_master WHERE name='streams'").fetchone()[0]:
            return 0  # killed before the tables were made
        return int(db.execute("SELECT count(*) FROM streams").fetchone()[0])


def lasting(path: Path) -> dict[str, list[str]]:
    """The content of each table, sorted, one text for each row: duplicates stay."""
    with closing(sqlite3.connect(path)) as db:
        content = {name: db.execute(sql).fetchall() for name, sql in _LASTING.items()}
    content["cells"] = [(*row[:-1], _row(row[-1])) for row in content["cells"]]
    return {name: sorted(map(repr, rows)) for name, rows in content.items()}


def _row(text: str) -> Any:
    return sorted((name, repr(value)) for name, value in json.loads(text).items() if name not in VOLATILE)


def table(home: Path) -> list[str]:
    """The lines of ``icm-bench table --format csv`` without the columns that differ from run to run."""
    words = [*_TOOL, "table", "--out", str(home), "--format", "csv", "--resamples", "0"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    rows = pd.read_csv(io.StringIO(done.stdout), low_memory=False)
    kept = rows.drop(columns=[name for name in rows.columns if name in VOLATILE])
    return sorted(kept.to_csv(index=False).splitlines())


def children(pid: int) -> list[int]:
    """The workers of a run."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"spawn_main" in (place / "cmdline").read_bytes():
                found.append(int(place.name))
        except OSError:  # it has ended in between
            continue
    return sorted(found)


def send(pid: int) -> bool:
    """Kill a process; whether it was there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def gone(pid: int, patience_s: float = _ORPHANS_S) -> bool:
    """Wait for a process to end (or to be a zombie); whether it does."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def pictures(folder: Path, n: int) -> Path:
    """A folder of n small pictures."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(n):
        slope = np.linspace(rng.integers(0, 120), rng.integers(130, 250), 32)
        picture = np.clip(slope[None, :, None] + rng.normal(0, 12, (24, 32, 3)), 0, 255)
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"p{index:03d}.png")
    return folder


def cases(data: Path) -> list[Case]:
    """A cheap codec without nets, and one of torch with a net, each with two workers and with one."""
    cheap = ("--method", "jpeg", "--task", "images", "--data", str(data), "--rates", "10,20,40,60")
    torch = ("--method", "hyperprior(variable=True)", "--task", "imagenet", "--data", "mini", "--limit", "16")
    torch = (*torch, "--net", "mini-resnet", "--rates", "1,3")
    return [Case("jpeg", cheap, n) for n in (2, 1)] + [Case("hyperprior", torch, n) for n in (2, 1)]


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    # Half of the kills are of workers: two thirds of those with two workers, which get three quarters of all.
    shares = [part * chosen.kills // 20 for part in (9, 3, 6, 2)]
    shares[0] += chosen.kills - sum(shares)
    total = Tally()
    with tempfile.TemporaryDirectory(prefix="icm-bench-kills-") as place:
        folder = Path(place)
        for number, case in enumerate(cases(pictures(folder / "pictures", 300))):
            (folder / str(number)).mkdir()
            torture = Torture(case, folder / str(number), chosen.seed + number)
            n_workers = round(shares[number] * 2 / 3) if case.workers > 1 else 0
            victims = ["worker"] * n_workers + ["main"] * (shares[number] - n_workers)
            torture.random.shuffle(victims)
            for victim in victims:
                torture.kill(victim)
            tally = torture.end()
            told = ", ".join(f"{name}: {n}" for name, n in sorted(tally.done.items()))
            units = len(torture.unbroken[0]["streams"])
            about = f"{case.name}, {case.workers} workers, {units} units in {torture.seconds:.1f} s"
            print(f"{about}: {told}", flush=True)
            total.done.update(tally.done)
            total.wrong += tally.wrong
    print("in all: " + ", ".join(f"{name}: {n}" for name, n in sorted(total.done.items())))
    print(f"lost, twice or different: {len(total.wrong)}", *total.wrong[:20], sep="\n")
    return 1 if total.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
