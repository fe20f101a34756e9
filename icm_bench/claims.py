"""A page of claims with numbers, drawn from stores: what it says stands in a TOML file, what it measures here.

    title = "..."
    [stores]
    mini = "mini"                       # folder of a run's results, relative to the file
    [[section]]
    title, text, kind, ...              # see ``Section``; the kinds are in ``claims_sections``
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from icm_bench.bootstrap import Plan
from icm_bench.claims_sections import KINDS, Desk, Section
from icm_bench.config import read_config
from icm_bench.registry import suggest


@dataclass(frozen=True)
class Spec:
    """The page: title and opening text, stores by name, sections in order, and how its intervals are drawn."""

    title: str
    stores: dict[str, str]
    section: tuple[Section, ...]
    text: str = ""
    resamples: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        for section in self.section:
            for name in section.stores:
                if name not in self.stores:
                    raise ValueError(f"section {section.title!r}: no store {name!r}{suggest(name, self.stores)}")


def draw(path: Path) -> str:
    """The page of a spec file as Markdown. Raises UserError for a spec or store that does not fit."""
    spec = read_config(Spec, path)
    blocks = [f"# {spec.title}", spec.text]
    folders = {name: path.parent / folder for name, folder in spec.stores.items()}
    with Desk(folders, Plan(spec.resamples, spec.seed)) as desk:
        for section in spec.section:
            blocks += [f"## {section.title}", section.text, KINDS[section.kind](desk, section)]
    return "\n\n".join(block.strip() for block in blocks if block.strip()) + "\n"
