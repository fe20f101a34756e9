"""Grids, keys, and what a request turns into."""

import pytest

from icm_bench import backlog, grid, plan, registry
from icm_bench.errors import UserError
from icm_bench.store import Store


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("3", (3,)),
        ("0,1,2", (0, 1, 2)),
        ("2,2,1", (2, 1)),
        ("0:1:0.25", (0, 0.25, 0.5, 0.75, 1)),
        ("0:1:0.1", tuple(i / 10 for i in range(11))),
        ("47:22:-5", (47, 42, 37, 32, 27, 22)),
    ],
)
def test_grid(text, values):
    assert grid.parse_grid(text, "--rates") == values


@pytest.mark.parametrize("text", ["a", "1,,2", "0:1", "0:1:0", "1:0:0.1", "0:1:1e-9", "nan", "0,inf"])
def test_grid_refuses_and_names_the_option(text):
    with pytest.raises(UserError, match="--betas") as caught:
        grid.parse_grid(text, "--betas")
    assert repr(text) in str(caught.value)


def test_cells_are_rates_by_nets_by_betas(world):
    with Store(None) as store:
        made = plan.build(world.request(nets=("mean", "max"), rates=(1, 2, 3), betas=(0, 0.5)), store)
    assert len(made.cells) == 3 * 2 * 2
    assert len({cell.key for cell in made.cells}) == 12
    assert made.n_units() == 3 * 6


def test_default_grid_and_reference_line(world):
    with Store(None) as store:
        made = plan.build(world.request(reference="identity"), store)
    assert [(made.methods[c.coder].name, c.rate, c.beta) for c in made.cells] == [
        ("identity", 0, None), ("quant", 2, 0), ("quant", 2, 1), ("quant", 4, 0), ("quant", 4, 1),
    ]  # fmt: skip


def test_no_reference_line_without_nets(world):
    request = world.request(methods=("identity",), tasks=("images",), reference="identity")
    with Store(None) as store:
        assert len(plan.build(request, store).cells) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rates": (9,)}, "bits 9 is outside 1 .. 6"),
        ({"rates": (1.5,)}, "not a whole number"),
        ({"betas": (1.5,)}, "--betas: 1.5 is outside"),
        ({"methods": ("jpeg",), "betas": (0.5,)}, "no trade-off beta"),
        ({"methods": ("qant",)}, "did you mean 'quant'"),
        ({"methods": ()}, "--method is missing"),
        ({"tasks": ("brigt",)}, "did you mean 'bright'"),
        ({"nets": ("median",)}, "unknown net 'median'"),
        ({"weights": ("a.pth",)}, "give one for each"),
        ({"limit": -1}, "--limit -1"),
        ({"tasks": ("images",)}, "quant cannot be used for images: it sees no pictures there"),
    ],
)
def test_a_wrong_request_is_told_in_one_line(world, changes, words):
    with Store(None) as store, pytest.raises(UserError) as caught:
        plan.build(world.request(**changes), store)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_net_goes_to_the_tasks_that_take_it(world):
    request = world.request(tasks=("bright", "images"), methods=("jpeg",), nets=("max",))
    with Store(None) as store:
        made = plan.build(request, store)
    assert [subject.net for subject in made.context.subjects] == ["max", None]


def test_two_tasks_on_one_data_set_share_their_streams(world):
    with Store(None) as store:
        made = plan.build(world.request(tasks=("bright", "images"), methods=("jpeg",), rates=(50,)), store)
        todo = backlog.missing(made, store, range(len(made.cells)))
    assert len(made.cells) == 2
    assert len(todo.units) == 6
    assert {unit.cells for unit in todo.units} == {(0, 1)}


def test_keys_follow_content_not_place(world):
    with Store(None) as store:
        before = plan.build(world.request(), store)
        moved = world.root / "moved"
        world.data.rename(moved)
        after = plan.build(world.request(data=str(moved)), store)
        assert [c.key for c in after.cells] == [c.key for c in before.cells]
        picture = next(iter(sorted(moved.glob("*.png"))))
        picture.write_bytes(picture.read_bytes() + b"\0")
        changed = plan.build(world.request(data=str(moved)), store)
    assert not {c.key for c in changed.cells} & {c.key for c in before.cells}


def test_limit_reuses_what_the_whole_set_has(world):
    world.run(limit=2)
    assert len(world.todo().units) == 2 * (6 - 2)
    assert world.todo(limit=2).units == []


def test_estimate_counts_and_knows_what_it_does_not_know(world):
    with Store(world.out / "store.sqlite") as store:
        made = plan.build(world.request(), store)
        guess = backlog.estimate(made, store, backlog.missing(made, store, range(4)))
    assert (guess.n_units, guess.n_cached, guess.n_encodes, guess.n_predictions) == (12, 0, 12, 24)
    assert guess.seconds is None
    assert guess.untimed == ("quant", "mean")
    world.run(limit=1)
    with Store(world.out / "store.sqlite") as store:
        made = plan.build(world.request(), store)
        guess = backlog.estimate(made, store, backlog.missing(made, store, range(4)))
    assert (guess.n_cached, guess.n_encodes) == (2, 10)
    assert guess.seconds > 0


def test_rates_of_a_second_layer_make_a_method_each(world):
    with Store(None) as store:
        made = plan.build(world.request(methods=("rdc",), rates=(2,), betas=(0,), aux_rates=(1, 3.5)), store)
        assert [method.spec for method in made.methods] == ["rdc(aux_rate=1)", "rdc(aux_rate=3.5)"]
        assert len({key for cell in made.cells for key in made.stream_keys(cell)}) == 2 * 6
        for methods, rates, words in ((("jpeg",), (1,), "no second layer"), (("rdc",), (7,), "gain 7 is outside")):
            with pytest.raises(UserError, match=words):
                plan.build(world.request(methods=methods, aux_rates=rates), store)


def test_versions_of_a_codec_in_a_file_are_told_apart(world):
    file = world.root / "mine.py"
    text = registry.plugin("method", "jpeg").path.read_text(encoding="utf-8")
    made = []
    for version in (text, text, text + "# another quantiser\n"):
        file.write_text(version, encoding="utf-8")
        with Store(None) as store:
            made.append(plan.build(world.request(methods=(str(file),), rates=(40,)), store))
    keys = [one.stream_keys(one.cells[0]) for one in made]
    checkpoints = [one.context.coders[0].checkpoint for one in made]
    assert keys[0] == keys[1] != keys[2] and checkpoints[0] == checkpoints[1] != checkpoints[2]
