"""The HTML report: one file that works offline, in a real browser, on a phone and in the dark."""

import json
import re
import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from icm_bench import plan, rows, runner, tables
from icm_bench.cli import main
from icm_bench.errors import UserError
from icm_bench.html import Wanted, document
from icm_bench.request import Request
from icm_bench.store import Store

pytest.importorskip("plotly", reason="plotly is not installed: pip install 'icm-bench[report]'")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Results of two codecs on all three mini tasks, four pictures each."""
    path = tmp_path_factory.mktemp("report")
    with Store(path / "store.sqlite") as store:
        for method, rates in (("jpeg", (10.0, 40.0, 80.0)), ("rdc", (0.0, 2.0, 5.0))):
            nets = ("mini-resnet", "mini-fcos", "mini-fcn", "mini-lraspp")
            request = Request((method,), ("imagenet", "coco", "cityscapes"), nets, rates=rates, limit=4, data="mini")
            for _ in runner.run(plan.build(request, store), store):
                pass
    return path


@pytest.fixture(scope="module")
def page(folder):
    with pytest.raises(SystemExit) as stopped:
        main(["report", "--out", str(folder), "--anchor", "jpeg", "--resamples", "100", "--pictures", "3"])
    assert stopped.value.code == 0
    return folder / "report.html"


def held(page):
    """The data inside of the page."""
    return json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(), re.S)[1])


def test_the_file_needs_nothing_else_and_is_small_enough(page):
    text = page.read_text()
    assert page.stat().st_size < 15e6
    own = text.replace(re.search(r"<script>(.*?)</script>", text, re.S)[1], "", 1)  # plotly's own links
    assert not re.search(r'(src|href)="(?!data:|#)', own) and "@import" not in own


def test_it_holds_every_group_and_the_chosen_pictures(page):
    data = held(page)
    assert {group["net"] for group in data["groups"]} == {"mini-resnet", "mini-fcos", "mini-fcn", "mini-lraspp"}
    assert [len(one["pictures"]) for one in data["sets"]] == [3, 3, 3]
    tags = [[picture["tags"] for picture in one["pictures"]] for one in data["sets"]]
    assert all(one == [["worst"], ["median"], ["best"]] for one in tags)
    (rdc,) = [one for one in data["sets"][1]["pictures"][0]["methods"] if one["label"] == "rdc"]
    assert rdc["betas"] == ["0", "0.25", "0.5", "0.75", "1"] and len(rdc["rates"]) == 3
    for rate in rdc["rates"]:
        assert rate["views"]["0"]["bpp"] == rate["views"]["0.5"]["bpp"] > rate["views"]["1"]["bpp"]
    kinds = {one["title"].split()[0]: type(one["pictures"][0]["overlays"][0]) for one in data["sets"]}
    assert kinds == {"imagenet": int, "coco": list, "cityscapes": str}


def test_names_cannot_become_markup(folder):
    held = rows.load(folder / "store.sqlite")
    held["data"] = '</script><img src=x onerror="boom()">'
    text = document(tables.build(held), None, Wanted(title="<b>&</b>"))
    assert "<img src=x" not in text and "</script><img" not in text and "<title>&lt;b&gt;&amp;" in text


def test_a_results_folder_starts_no_program_unless_it_is_told_to(tmp_path):
    """Its rows name a program by a path, which would leave a mark when started."""
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch '{tmp_path}/mark'\nexec {get_ffmpeg_exe()} \"$@\"\n")
    program.chmod(0o755)
    method = f"vvc(encoder={str(program)!r}, preset='faster')"
    with Store(tmp_path / "store.sqlite") as store:
        request = Request((method,), ("imagenet",), ("mini-resnet",), rates=(47.0,), limit=1, data="mini")
        for _ in runner.run(plan.build(request, store), store):
            pass
        (tmp_path / "mark").unlink()
        made = tables.build(rows.load(tmp_path / "store.sqlite"))
        n_methods = {}
        for programs in (False, True):
            page = document(made, store, Wanted(programs=programs))
            shown = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
            n_methods[programs] = [len(one["pictures"][0]["methods"]) for one in shown["sets"]]
            assert (tmp_path / "mark").exists() == programs
    assert n_methods == {False: [0], True: [1]}


def test_a_limit_that_is_too_small_says_so_and_a_small_one_leaves_pictures_out(folder):
    made = tables.build(rows.load(folder / "store.sqlite"))
    with pytest.raises(UserError, match="--max-mb 1: the curves and tables alone are larger"):
        document(made, None, Wanted(max_mb=1))
    with Store(folder / "store.sqlite", create=False) as store:
        small = document(made, store, Wanted(max_mb=5.2))
    assert len(small.encode()) < 5.2e6


@pytest.fixture(scope="module")
def browser():
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium and chromedriver are not installed (Debian: chromium, chromium-driver)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", "window-size=1280,900",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser, page):
    browser.get(page.as_uri())
    until(lambda: browser.execute_script("return document.querySelectorAll('#chart .scatterlayer .trace').length"))
    yield browser
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def until(found, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def decoded(browser):
    image, text = (browser.find_element("id", name) for name in ("decoded", "decoded-text"))
    return image.get_attribute("src"), text.text


@pytest.fixture
def address():
    """A server that keeps what it is asked for: its address, and the paths."""
    asked = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_hostile_names_run_nothing_and_ask_no_address(browser, folder, tmp_path, address):
    """Shown as they are; and a script that had got into the page all the same would be refused."""
    host, asked = address
    evil = f'</script><img src="{host}/x" onerror="boom=1"><a href="javascript:boom=1">x</a> & <b>bold</b>'
    held = rows.load(folder / "store.sqlite").assign(data=evil, rate_name=evil)
    held = held[held.task == "imagenet"].assign(method=held.method.replace("jpeg", evil))
    text = document(tables.build(held), None, Wanted(title=evil))
    smuggled = f'<script>boom=1</script><img src="{host}/y"><link rel="stylesheet" href="{host}/z">'
    (tmp_path / "page.html").write_text(text.replace("<main>", f"<main>{smuggled}", 1))
    browser.get((tmp_path / "page.html").as_uri())
    run = browser.execute_script
    until(lambda: run("return document.querySelectorAll('#chart .scatterlayer .trace').length"))
    assert run("return typeof boom") == "undefined"
    assert run("return document.querySelectorAll('h1 *, #summary img, #sheets img, #chart img').length") == 0
    assert {link.get_attribute("href").partition("#")[0] for link in browser.find_elements("css selector", "a")} == {
        browser.current_url
    }
    legend = run("return [...document.querySelectorAll('#chart .legendtext')].map((one) => one.textContent)")
    assert any("<img" in name for name in legend)
    refused = [entry["message"] for entry in browser.get_log("browser")]
    assert len(refused) == 3 and all("Content Security Policy" in message for message in refused)
    assert asked == []
    with pytest.raises(HTTPError):  # the server is there
        urlopen(f"{host}/it", timeout=20)
    assert asked == ["/it"]


def test_sliders_move_between_decoded_pictures(opened):
    from selenium.webdriver.common.keys import Keys

    seen = [decoded(opened)]
    assert "β = 0" in seen[0][1] and "bpp" in seen[0][1]
    for name, key in (("rate", Keys.ARROW_RIGHT), ("beta", Keys.END), ("rate", Keys.HOME)):
        opened.find_element("id", name).send_keys(key)  # by the keyboard
        seen.append(decoded(opened))
    assert len({src for src, _ in seen}) == len({text for _, text in seen}) == 4
    assert "β = 1" in seen[2][1] and "gain 0" in seen[3][1]
    size = "const i = document.getElementById('decoded'); return i.complete && i.naturalWidth"
    assert until(lambda: opened.execute_script(size)) > 50


def test_worst_and_median_are_one_click_away_and_overlays_are_drawn(opened):
    from selenium.webdriver.support.ui import Select

    first = opened.find_element("id", "original").get_attribute("src")
    opened.find_element("xpath", "//button[text()='median']").click()
    assert opened.find_element("id", "original").get_attribute("src") != first
    boxes = "return document.querySelectorAll('#pictures svg rect').length"
    maps = "return document.querySelectorAll('#pictures .map[src]').length"
    seen = {}
    for at, option in enumerate(Select(opened.find_element("id", "set")).options):
        name = option.text.split()[0]
        Select(opened.find_element("id", "set")).select_by_index(at)
        seen[name] = opened.execute_script(boxes), opened.execute_script(maps), decoded(opened)[1]
    assert seen["coco"][0] > 0 and seen["cityscapes"][1] == 2 and "the net says class" in seen["imagenet"][2]
    opened.find_element("id", "overlay").click()
    assert opened.execute_script(boxes) == opened.execute_script(maps) == 0


def test_tables_sort_and_curves_toggle(opened):
    column = "return [...document.querySelectorAll('#sheets table')[0].querySelectorAll('tbody tr')].map(r => r.cells[3].textContent)"  # noqa: E501
    opened.find_element("xpath", "(//div[@id='sheets']//table)[1]//button[text()='bpp']").click()
    rising = [float(text) for text in opened.execute_script(column)]
    assert rising == sorted(rising) and len(set(rising)) > 3
    opened.find_element("xpath", "(//div[@id='sheets']//table)[1]//button[text()='bpp']").click()
    assert [float(text) for text in opened.execute_script(column)] == rising[::-1]
    count = "return document.querySelectorAll('#chart .scatterlayer .trace').length"
    few = opened.execute_script(count)
    opened.find_element("id", "chart-betas").click()
    assert until(lambda: opened.execute_script(count) > few)
    opened.find_element("id", "chart-log").click()
    kind = "return document.getElementById('chart').layout.xaxis.type"
    assert until(lambda: opened.execute_script(kind) == "linear")


@pytest.mark.parametrize("width", [360, 768, 1920])
def test_nothing_is_wider_than_the_screen(opened, width):
    metrics = {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 500}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        assert until(lambda: opened.execute_script("return window.innerWidth") == width)
        assert until(lambda: opened.execute_script("return document.documentElement.scrollWidth") <= width)
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_dark_mode_has_light_letters_on_a_dark_page(opened):
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        colour = "return getComputedStyle(document.body).{}.match(/\\d+/g).slice(0, 3).map(Number)"
        paper, ink = (opened.execute_script(colour.format(name)) for name in ("backgroundColor", "color"))
        assert max(paper) < 60 and min(ink) > 200
        fill = "return document.getElementById('chart').layout.paper_bgcolor"
        assert until(lambda: opened.execute_script(fill) == "#16181b")
    finally:
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
