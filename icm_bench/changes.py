"""Which data sets are not what an earlier run into the same store saw.

Each session notes what it saw. Nothing here decides what is made anew: streams go by the sha256 of the picture,
evidence and rows by the fingerprint and the digest of the whole set, so that no row ever mixes two states of a set.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from icm_bench.plan import Corpus, Plan
from icm_bench.store import Store, unpack


@dataclass(frozen=True)
class Change:
    """A data set (label, and folder unless built in) that has changed: counts of pictures, by id.

    All three are 0 where only labels have changed, and None where the last run took another number of pictures.
    """

    label: str
    data: str | None
    n_changed: int | None = None
    n_new: int | None = None
    n_gone: int | None = None


def seen(plan: Plan) -> dict[str, dict[str, Any]]:
    """What a session notes of its data sets, by task spec."""
    return {
        corpus.task.spec: {
            "limit": plan.request.limit, "fingerprint": corpus.task.fingerprint, "samples": corpus.digest,
        }
        for corpus in plan.corpora
    }  # fmt: skip


def since(plan: Plan, store: Store) -> list[Change]:
    """The plan's data sets that differ from what the last session with them saw."""
    now, before = seen(plan), _last(store)
    corpora = {corpus.task.spec: corpus for corpus in plan.corpora}
    changes = []
    for spec, corpus in corpora.items():
        old = before.get(spec)
        if old is None:
            continue
        same_limit = old["limit"] == now[spec]["limit"]
        if same_limit and old["samples"] != now[spec]["samples"]:
            changes.append(_difference(corpus, store, old["samples"]))
        elif old["fingerprint"] != now[spec]["fingerprint"]:
            counts = (0, 0, 0) if same_limit else ()
            changes.append(Change(corpus.task.label, corpus.task.data, *counts))
    return changes


def _last(store: Store) -> dict[str, dict[str, Any]]:
    """What the latest session with each task spec noted."""
    found: dict[str, dict[str, Any]] = {}
    for (provenance,) in store.query("SELECT provenance FROM sessions ORDER BY id"):
        found |= json.loads(provenance).get("sets", {})
    return found


def _difference(corpus: Corpus, store: Store, digest: str) -> Change:
    kept = store.query("SELECT members FROM sets WHERE digest=?", digest)
    if not kept:
        return Change(corpus.task.label, corpus.task.data)
    old = dict(unpack(kept[0][0]))
    new = dict(corpus.members)
    n_changed = sum(old[name] != new[name] for name in old.keys() & new.keys())
    n_new, n_gone = len(new.keys() - old.keys()), len(old.keys() - new.keys())
    return Change(corpus.task.label, corpus.task.data, n_changed, n_new, n_gone)
