"""The pictures of the page: which ones, as they were decoded at every rate and beta, and what nets saw in them."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from icm_bench import own_files, records, registry
from icm_bench.bitstream import Bitstream
from icm_bench.curves import beta_of, method_labels, short_spec
from icm_bench.errors import CodecError, UserError
from icm_bench.selection import lossless

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from icm_bench.method import Beta, Method
    from icm_bench.store import Store
    from icm_bench.tables import Table
    from icm_bench.task import Net, Sample, Task

#: Longest side of a picture as it is shown, and how WebP codes it: artefacts of the codec must not drown in its own.
_SIDE, _QUALITY = 448, 86
#: Boxes below this score are not drawn.
_SCORE = 0.3
#: The colours of Cityscapes' 19 train ids (cityscapesScripts, labels.py).
_PALETTE = (
    (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153), (250, 170, 30),
    (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142),
    (0, 0, 70), (0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32),
)  # fmt: skip


def collect(
    tables: list[Table],
    store: Store,
    limits: tuple[int, int],
    progress: Callable[[str], None],
    programs: bool = False,
) -> list[dict[str, Any]]:
    """Data sets with their pictures; the data sets take turns until a limit is reached.

    limits: pictures for each data set, and bytes of all; programs: whether programs that a row names may be started.
    What cannot be read or decoded is left out.
    """
    n_pictures, room = limits
    sets: dict[tuple[str, str], list[pd.DataFrame]] = {}
    for table in tables:
        rows = table.group.rows
        if "key" in rows.columns and (rows["profile"].dropna() == "orig").all():
            sets.setdefault((table.group.task, table.group.data), []).append(rows)
    desks = [Desk(store, parts, programs) for parts in sets.values()]
    found: list[dict[str, Any]] = [{"title": desk.title, "nets": desk.nets, "pictures": []} for desk in desks]
    for turn in range(n_pictures):
        for desk, one in zip(desks, found, strict=True):
            if turn >= len(desk.chosen):
                continue
            sample, tags = desk.chosen[turn]
            progress(f"{desk.title}: {sample.id}")
            picture = desk.picture(sample, tags)
            size = len(json.dumps(picture)) if picture else 0
            if picture and size < room:
                one["pictures"].append(picture)
                room -= size
    return [one for one in found if one["pictures"]]


class Desk:
    """One data set: its rows for all nets, its task, and its pictures from worst to best."""

    def __init__(self, store: Store, parts: list[pd.DataFrame], programs: bool) -> None:
        import pandas as pd

        self.store, self.programs = store, programs
        rows = pd.concat(parts)
        self.rows = rows[rows["n_failed"].fillna(0) == 0]
        first = self.rows.iloc[0]
        own_files.check(first["task_spec"])
        self.task: Task = registry.task(first["task_spec"])
        self.title = str(first["data"])
        self.labels = method_labels(rows)
        self._nets: dict[str, Net | None] = {}
        self._read: dict[tuple[str, str], records.Record | None] = {}
        self._wheres: dict[str, dict[str, records.Where]] = {}
        self._methods: dict[str, Method] = {}

    @property
    def nets(self) -> list[str]:
        """Short names of the nets, in the order of the overlays."""
        return [short_spec(net) for net in self._specs]

    @property
    def _specs(self) -> list[str]:
        return list(dict.fromkeys(net for net in self.rows["net"] if isinstance(net, str)))

    @cached_property
    def _samples(self) -> dict[str, Sample]:
        try:
            return {sample.id: sample for sample in self.task.samples()}
        except UserError:  # the data set is no longer where it was
            return {}

    @cached_property
    def chosen(self) -> list[tuple[Sample, list[str]]]:
        """Pictures worth a look first, with why: the worst, the median, the best, then evenly between."""
        ranked = [sample for sample in self._ranked if sample in self._samples]
        n = len(ranked)
        if not n:
            return []
        places = {0: "worst", n // 2: "median", n - 1: "best"}
        order = dict.fromkeys([*places, *(n * part // 8 for part in range(8))])
        return [(self._samples[ranked[at]], [places[at]] if at in places else []) for at in order]

    @cached_property
    def _ranked(self) -> list[str]:
        """Sample ids by what coding costs the first net's score, then by PSNR; at a middle rate, for machines."""
        coded = self.rows[~lossless(self.rows)].sort_values("bpp")
        if coded.empty:
            return []
        with_beta = coded[coded["beta"] == coded["beta"].max()]
        pool = with_beta if len(with_beta) else coded
        middle = pool.iloc[len(pool) // 2]
        free = self.rows[lossless(self.rows) & (self.rows["net"] == middle["net"])]
        whole = {one.sample: one for one in self._records(free.iloc[0])} if len(free) else {}

        def cost(one: records.Record) -> tuple[float, float]:
            before = self._score(whole[one.sample]) if one.sample in whole else 0.0
            return self._score(one) - before, one.psnr or 0.0

        return [one.sample for one in sorted(self._records(middle), key=cost)]

    def _score(self, one: records.Record) -> float:
        metric = self.task.main_metric
        if metric is None or one.evidence is None:
            return 0.0
        return float(self.task.score({one.sample: one.evidence}).get(metric, 0.0))

    def _records(self, row: pd.Series) -> list[records.Record]:
        return records.read(self.store, records.where_of(self.store, row["key"]))

    def _record(self, row: pd.Series, sample: str) -> records.Record | None:
        """One picture of a row; the others, which may be thousands, are not read."""
        place = (row["key"], sample)
        if place not in self._read:
            found = records.read(self.store, self._where(row, sample))
            self._read[place] = found[0] if found else None
        return self._read[place]

    def _where(self, row: pd.Series, sample: str) -> records.Where:
        """What finds one picture of a row; the row's list of pictures is read once for all that are shown."""
        key = row["key"]
        if key not in self._wheres:
            whole = records.where_of(self.store, key)
            self._wheres[key] = {chosen.id: whole.only(chosen.id) for chosen, _ in self.chosen}
        return self._wheres[key][sample]

    def picture(self, sample: Sample, tags: list[str]) -> dict[str, Any] | None:
        """One picture as the page takes it; None when it cannot be read any more."""
        try:
            original = sample.read()
        except UserError:
            return None
        first = self.rows.iloc[0]["net"]
        one_net = self.rows[self.rows["net"].isna() | (self.rows["net"] == first)]
        methods = [
            made
            for _, part in one_net[~lossless(one_net)].groupby("method", sort=True)
            if (made := self._method(part, sample)) is not None
        ]
        height, width = original.shape[:2]
        free = self.rows[lossless(self.rows)]
        views: dict[Beta, np.ndarray] = {None: original}
        overlays = [self._overlays(net, free, sample, views).get("") for net in self._specs]
        return {
            "id": sample.id, "tags": tags, "width": width, "height": height, "image": _webp(original),
            "overlays": overlays, "methods": methods,
        }  # fmt: skip

    def _method(self, rows: pd.DataFrame, sample: Sample) -> dict[str, Any] | None:
        """All that one codec made of a picture: for each rate and beta the picture, its bits and the overlays."""
        row = rows.iloc[0]
        label = self.labels[(row["method"], row["checkpoint"] if isinstance(row["checkpoint"], str) else "")]
        shown = []
        for rate, part in rows.sort_values("bpp").groupby("rate", sort=False):
            try:
                pictures, bits = self._decoded(part, sample)
            except (UserError, CodecError, KeyError):
                return None  # a checkpoint that has gone, say
            same = self.rows[(self.rows["method"] == row["method"]) & (self.rows["rate"] == rate)]
            layers = [self._overlays(net, same, sample, pictures) for net in self._specs]
            views = {
                _beta(beta): {
                    "image": _webp(picture), "bpp": round(bits[beta], 4),
                    "overlays": [layer.get(_beta(beta)) for layer in layers],
                }
                for beta, picture in pictures.items()
            }  # fmt: skip
            shown.append({"rate": f"{row['rate_name']} {rate:g}", "views": views})
        betas = [_beta(beta) for beta in sorted(rows["beta"].dropna().unique())]
        return {"label": label, "betas": betas, "rates": shown}

    def _decoded(
        self, rows: pd.DataFrame, sample: Sample
    ) -> tuple[dict[Beta, np.ndarray], dict[Beta, float]]:
        """The picture at every beta of one rate, and its bits per pixel."""
        betas: list[Beta] = [beta_of(beta) for beta in rows["beta"]]
        bits, data = {}, None
        for beta, (_, row) in zip(betas, rows.iterrows(), strict=True):
            record = self._record(row, sample.id)
            if record is None:
                raise UserError(f"{sample.id} was not measured")
            bits[beta] = 8 * record.n_bytes / record.n_pixels
            data = data or self.store.stream(records.stream_of(self._where(row, sample.id), sample.id))
        if data is None:
            raise UserError("the stream is not in the store")
        spec = rows.iloc[0]["method"]
        if spec not in self._methods:
            own_files.check(spec)
            named = registry.method(spec)
            if not self.programs and not set(named.program_parameters).isdisjoint(named.params):
                raise UserError(f"{spec} names a program, which a results file may not start")
            named.setup()
            self._methods[spec] = named
        method = self._methods[spec]
        return dict(zip(betas, method.decode(Bitstream.from_bytes(data), betas), strict=True)), bits

    def _overlays(
        self, net: str, rows: pd.DataFrame, sample: Sample, pictures: Mapping[Beta, np.ndarray]
    ) -> dict[str, Any]:
        """What a net saw, by beta: a class index, boxes in shares of the sides, or a label map as a picture."""
        if self.task.net_kind == "segmentation":
            return dict(self._maps(net, pictures))
        found: dict[str, Any] = {}
        for _, row in rows[rows["net"] == net].iterrows():
            beta = beta_of(row["beta"])
            if beta not in pictures:
                continue
            record = self._record(row, sample.id)
            if record is None or record.evidence is None:
                continue
            evidence = record.evidence
            height, width = pictures[beta].shape[:2]
            if self.task.net_kind == "classification":
                found[_beta(beta)] = evidence[0]
            elif self.task.net_kind == "detection":
                sides = (width, height, width, height)
                found[_beta(beta)] = [
                    [*(round(value / side, 4) for value, side in zip(box[:4], sides, strict=True)), *box[4:6]]
                    for box in evidence
                    if box[4] >= _SCORE
                ]
        return found

    def _maps(self, spec: str, pictures: Mapping[Beta, np.ndarray]) -> Iterator[tuple[str, str]]:
        """Label maps, which evidence does not keep: the net looks again, where its spec is enough to build it."""
        if spec not in self._nets:
            try:
                own_files.check(spec)
                net = self.task.net(spec)
                net.setup()
                self._nets[spec] = net
            except UserError:
                self._nets[spec] = None
        built = self._nets[spec]
        if built is not None:
            for beta, picture in pictures.items():
                yield _beta(beta), _map(built.predict([picture])[0])


def _beta(beta: Beta) -> str:
    return "" if beta is None else f"{beta:g}"


def _webp(picture: np.ndarray) -> str:
    from PIL import Image

    image = Image.fromarray(picture)
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "WEBP", quality=_QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()


def _map(labels: np.ndarray) -> str:
    """Train ids as a small PNG in Cityscapes' colours."""
    from PIL import Image

    image = Image.fromarray(labels).convert("L")
    image.thumbnail((_SIDE // 2, _SIDE // 2), Image.Resampling.NEAREST)
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette([value for colour in _PALETTE for value in colour])
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()

