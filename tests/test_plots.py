"""Figures: what is drawn where, what is refused, and what the files hold."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from synthetic_rows import BOTH, COCO, JPEG, PRIMARY, rows

from icm_bench import plot_style, plots
from icm_bench.errors import UserError
from icm_bench.plots import Look, draw, save


def coco():
    """The detector's rows."""
    return rows().query("task == 'coco'")


def named(found, name):
    (one,) = [plot for plot in found if plot.name == name]
    return one


def lines(plot):
    """Points of every line in data units, lines across the whole axes left out."""
    (axes,) = plot.figure.axes
    return [np.column_stack([np.ravel(one.get_xdata()), np.ravel(one.get_ydata())]) for one in axes.lines]


def texts(plot):
    (axes,) = plot.figure.axes
    legends = [axes.get_legend()] if axes.get_legend() else []
    inside = [text.get_text() for text in axes.texts]
    return inside + [text.get_text() for legend in [*legends, *plot.figure.legends] for text in legend.texts]


def has_line(plot, points):
    return any(one.shape == np.shape(points) and np.allclose(one, points) for one in lines(plot))


@pytest.fixture(scope="module")
def drawn():
    return draw(rows())


def test_figures_by_task_and_net(drawn):
    assert sorted(plot.name for plot in drawn) == [
        "cityscapes-rate-psnr",
        "cityscapes-unet-mini-metric-psnr",
        "cityscapes-unet-mini-rate-metric",
        "cityscapes-unet-mini-surface-rdc",
        "coco-rate-psnr",
        "coco-ssd-mini-metric-psnr",
        "coco-ssd-mini-rate-metric",
        "coco-ssd-mini-surface-rdc",
    ]


def test_the_points_are_on_the_axes(drawn):
    plot = named(drawn, "coco-ssd-mini-rate-metric")
    assert has_line(plot, [(p[0], p[2]) for p in JPEG])
    assert has_line(plot, [(p[0], p[2]) for p in BOTH])
    assert has_line(plot, [(p[0], p[2]) for p in PRIMARY])
    assert has_line(named(drawn, "coco-rate-psnr"), [(p[0], p[1]) for p in JPEG])


def test_the_jump_at_beta_1_is_drawn_for_each_rate(drawn):
    plot = named(drawn, "cityscapes-unet-mini-rate-metric")
    for low, high in zip(PRIMARY, BOTH, strict=True):
        jumps = [one for one in lines(plot) if len(one) == 2 and np.isclose(one[:, 0], [high[0], low[0]]).all()]
        assert len(jumps) == 1 and jumps[0][1, 1] == pytest.approx(low[3])
    assert "β 0.75 → 1, same rate" in texts(plot)


def test_axes_title_and_uncompressed_line_say_what_they_are(drawn):
    plot = named(drawn, "coco-ssd-mini-rate-metric")
    (axes,) = plot.figure.axes
    assert axes.get_xlabel() == "rate (bits per pixel, log scale)" and axes.get_ylabel() == "AP (%)"
    assert axes.get_title(loc="left").strip() == COCO
    assert "uncompressed 29.5" in texts(plot)
    assert "ssd-mini · 94 pictures · real bytes" in texts(plot)
    level = [one for one in axes.lines if np.allclose(one.get_ydata(), 29.5)]
    assert len(level) == 1
    psnr = named(drawn, "coco-rate-psnr")
    assert psnr.figure.axes[0].get_ylabel() == "PSNR, RGB (dB)"
    assert not any("uncompressed" in text for text in texts(psnr))


def test_every_curve_is_named_once(drawn):
    for plot in drawn:
        if plot.name.endswith(("metric-psnr", "surface-rdc")):
            continue
        for name in ("jpeg", "vvc", "rdc β=0", "rdc β=1"):
            assert texts(plot).count(name) == 1


def test_along_beta_there_is_a_line_for_each_rate(drawn):
    plot = named(drawn, "coco-ssd-mini-metric-psnr")
    for low, high in zip(PRIMARY, BOTH, strict=True):
        ends = [high[1:3], low[1:3]]
        along = [one for one in lines(plot) if len(one) == 5 and np.allclose(one[[0, -1]], ends)]
        assert len(along) == 1
    assert {"β = 0", "β = 1"} <= set(texts(plot))


def test_no_figure_along_beta_without_one():
    held = coco()
    found = draw(held[held.method != "rdc"])
    assert not any(plot.name.endswith("metric-psnr") for plot in found)


def test_a_chosen_beta_is_the_one_drawn_in_full():
    plot = named(draw(coco(), Look(beta=0.5)), "coco-ssd-mini-rate-metric")
    assert "rdc β=0.5" in texts(plot) and "rdc β=1" not in texts(plot)
    with pytest.raises(UserError, match=r"no results at beta 0.3: there are 0, 0.25, 0.5, 0.75, 1"):
        draw(coco(), Look(beta=0.3))


def test_one_psnr_figure_for_all_nets_on_the_same_pictures():
    other = coco().assign(net="fcos-mini")
    found = draw(pd.concat([coco(), other]))
    names = [plot.name for plot in found]
    assert names.count("coco-rate-psnr") == 1
    assert "coco-fcos-mini-rate-metric" in names and "coco-ssd-mini-rate-metric" in names


def test_two_data_sets_of_one_task_do_not_share_a_figure():
    real = coco().assign(data="coco val2017", data_fingerprint="beef")
    names = [plot.name for plot in draw(pd.concat([coco(), real]))]
    assert len(names) == len(set(names)) == 8


def test_a_task_without_nets_gives_psnr_only():
    kodak = coco().assign(task="images", net=None, main_metric=None, score=None)
    (plot,) = draw(kodak)
    assert plot.name == "images-rate-psnr"


@pytest.mark.parametrize("points", [(0.0001, 40.0), (0.05, 1.3), (0.3, 0.5), (0.5, 0.5), (11.0, 14.0)])
def test_the_rate_axis_has_three_numbers_or_more(points):
    _, axes = plot_style.new_figure("single")
    plot_style.rate_axis(axes, points, "rate (bits per pixel")
    ticks = axes.get_xticks()
    left, right = axes.get_xlim()
    assert len(set(ticks)) >= 3 and left <= min(ticks) and max(ticks) <= right


def test_mixed_axes_are_refused():
    held = coco()
    held.loc[held.method == "jpeg", "profile"] = "transtic"
    with pytest.raises(UserError, match=r"orig and transtic do not share an axis.*--profile orig"):
        draw(held)


def test_points_on_fewer_pictures_are_crossed_and_said():
    held = coco()
    held.loc[(held.method == "jpeg") & (held.rate == 10), "n_failed"] = 3
    plot = named(draw(held), "coco-ssd-mini-rate-metric")
    assert has_line(plot, [(JPEG[1][0], JPEG[1][2])])
    assert "some pictures failed" in texts(plot)


def test_nothing_to_draw_is_said():
    held = coco()
    with pytest.raises(UserError, match="nothing to draw"):
        draw(held[held.method == "identity"])


def test_names_stay_inside_the_figure_however_many():
    vvc = coco().query("method == 'vvc'")
    copies = [vvc.assign(method=f"codec{i}(preset='slow')") for i in range(14)]
    plot = named(draw(pd.concat([coco(), *copies])), "coco-ssd-mini-rate-metric")
    plot.figure.draw_without_rendering()
    frame = plot.figure.bbox
    (legend,) = plot.figure.legends or [plot.figure.axes[0].get_legend()]
    box = legend.get_window_extent()
    assert frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0


def test_colours_and_markers_never_repeat_together():
    looks = plot_style.looks(f"codec{i}" for i in range(40))
    assert len(set(looks.values())) == 40
    few = [plot_style.looks("abcdefg")[name][0] for name in "abcdefg"]
    assert len(set(few)) == 7


@pytest.fixture(scope="module")
def files(drawn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plots") / "new"
    return save(named(drawn, "coco-ssd-mini-rate-metric"), folder, ["png", "svg", "pdf"])


def test_files_have_column_width_and_embedded_fonts(files):
    png, svg, pdf = files
    with Image.open(png) as picture:
        assert picture.width == round(300 * plot_style.SIZES["single"][0])
    assert "<text" not in svg.read_text() and "<path" in svg.read_text()
    data = pdf.read_bytes()
    assert b"/FontFile2" in data and b"/Type3" not in data


def test_the_same_rows_give_the_same_bytes(files, tmp_path):
    plot = named(draw(coco()), "coco-ssd-mini-rate-metric")
    again = save(plot, tmp_path, ["png", "svg", "pdf"])
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in files]


def test_what_cannot_be_saved_is_said(drawn, tmp_path):
    with pytest.raises(UserError, match="unknown picture format 'gif': known are png, svg, pdf"):
        save(drawn[0], tmp_path, ["gif"])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="plots cannot be written here"):
        save(drawn[0], tmp_path / "file" / "plots", ["png"])
    with pytest.raises(UserError, match="known are single, double"):
        draw(coco(), Look("triple"))


def test_drawing_leaves_the_users_settings_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    plots.draw(coco())
    assert dict(matplotlib.rcParams) == before


def test_a_surface_has_a_number_for_each_rate_and_beta(drawn):
    plot = named(drawn, "coco-ssd-mini-surface-rdc")
    numbers = [text for text in texts(plot) if text.replace(".", "").isdigit()]
    assert len(numbers) == 20 and f"{PRIMARY[0][2]:.1f}" in numbers
    labels = [text.get_text() for text in plot.figure.axes[0].get_yticklabels()]
    assert labels[0] == "gain 0: 0.05–0.17 bpp"


def test_differences_are_taken_against_the_anchor():
    found = draw(coco(), Look(anchor="vvc"), kinds=("difference",))
    assert sorted(plot.name for plot in found) == ["coco-difference", "coco-ssd-mini-difference"]
    plot = named(found, "coco-difference")
    assert plot.figure.axes[0].get_ylabel() == "bits against vvc (%)"
    (jpeg,) = [line for line in lines(plot) if len(line) == 101 and line[0, 1] > 100]
    assert jpeg[-1, 1] > 50  # JPEG needs more bits at every PSNR that both reach
    for kinds in (("difference",), ("rate-metric",)):
        with pytest.raises(UserError, match="no curve 'bpg' here: there are jpeg, rdc, vvc"):
            draw(coco(), Look(anchor="bpg"), kinds=kinds)


def test_histograms_count_every_picture():
    held = coco().assign(key=lambda rows: [f"k{n}" for n in range(len(rows))])
    rng = np.random.default_rng(0)
    bits = {key: rng.uniform(0.2, 0.4, 94) for key in held["key"]}
    (plot,) = draw(held, kinds=("histogram",), bits=bits)
    for line in plot.figure.axes[0].lines:
        assert sum(line.get_ydata()[::2]) == pytest.approx(100)
    told = {text.partition(":")[0] for text in texts(plot) if ": mean 0.3" in text}
    assert told == {"jpeg, quality 20", "rdc β=1, gain 2", "vvc, qp 37"}


def test_intervals_are_bands_for_a_few_curves_and_bars_for_many():
    bounded = coco().assign(AP_low=lambda rows: rows.AP - 2, AP_high=lambda rows: rows.AP + 3)
    few = named(draw(bounded.query("method != 'rdc'")), "coco-ssd-mini-rate-metric")
    many = named(draw(pd.concat([bounded, bounded.query("method == 'jpeg'").assign(method="jpeg(a=1)")])),
                 "coco-ssd-mini-rate-metric")  # fmt: skip
    kinds = [{type(one).__name__ for one in plot.figure.axes[0].collections} for plot in (few, many)]
    assert "LineCollection" not in kinds[0] and "LineCollection" in kinds[1]
    assert all("95 % interval" in texts(plot) for plot in (few, many))
    assert "95 % interval" not in texts(named(draw(coco()), "coco-ssd-mini-rate-metric"))


def test_mixed_rates_are_drawn_only_with_a_visible_mark():
    held = coco()
    held.loc[held.method == "jpeg", "profile"] = "transtic"
    for plot in draw(held, Look(mixed=True), kinds=("rate-metric", "rate-psnr")):
        assert "MIXED RATES" in texts(plot)
        assert any("orig and transtic do not share an axis" in text for text in texts(plot))


def test_a_style_file_goes_on_top(tmp_path):
    (tmp_path / "mine.mplstyle").write_text("axes.facecolor: 123456\n")
    plot = named(draw(coco(), Look(style=tmp_path / "mine.mplstyle")), "coco-rate-psnr")
    assert plot.figure.axes[0].get_facecolor()[:3] == pytest.approx((0x12 / 255, 0x34 / 255, 0x56 / 255))
    (tmp_path / "bad.mplstyle").write_text("no.such.thing: 1\n")
    with pytest.raises(UserError, match=r"gone\.mplstyle: cannot be read"):
        draw(coco(), Look(style=tmp_path / "gone.mplstyle"))
