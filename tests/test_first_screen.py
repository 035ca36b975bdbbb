"""On a laptop and on a projector, question, control and picture of each view are in one screen.

In a real Chromium. The picture stays where it is while its slider moves and while networks train,
and axe-core finds no fault of accessibility.
"""

import os
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect, sync_playwright

from pages.components.controls import CONTROLS
from pages.components.page import PAGES
from tests.benchmarks.serving import CHROMIUM_FLAGS, chromium, serving

WIDTH, HEIGHT = 1280, 720
STILL = 4  # pixels by which the picture may move
VIEWS = [
    f"/{page.file.removeprefix('pages/').removesuffix('.py').partition('_')[2]}?{query}"
    for page in PAGES.values()
    if page.name != "home"
    for query in (
        [f"{page.controls[0]}={value}" for value in CONTROLS[page.controls[0]].choices]
        if page.views
        else [""]
    )
]
# View -> why its main picture is not in the first screen.
EXCEPTIONS = {
    "/Write_it_yourself?": "it has no picture: its first screen is the task and the editor",
    "/Teach?": "it has no picture: its first screen is the way into a class, and the plan",
}
# One view of each page; VIEWS=all for every view, on the laptop, on the projector and for axe.
ONE_OF_EACH_PAGE = list({view.partition("?")[0]: view for view in reversed(VIEWS)}.values())
CHECKED = VIEWS if os.environ.get("VIEWS") == "all" else ONE_OF_EACH_PAGE
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
TEXT = {"exclude": [["svg.marks"]]}  # a chart is described by its name alone
NOT_OURS = {"empty-table-header"}  # the corner of Streamlit's data editor


@pytest.fixture(scope="module")
def tab(tmp_path_factory) -> Iterator[Page]:
    path = chromium()
    if path is None:
        sentence = "No Chromium on this machine: the browser test needs one."
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(sentence)
    home = tmp_path_factory.mktemp("first screen")
    with serving(home) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        context = browser.new_context(
            base_url=server.url, viewport={"width": WIDTH, "height": HEIGHT}, locale="en-US"
        )
        context.set_default_timeout(40_000)
        yield context.new_page()
        browser.close()


def opened(tab: Page, view: str) -> None:
    """Open a view; by its button, as a reader does, where its page is open already."""
    path, _, query = view.partition("?")
    control, _, value = query.partition("=")
    if urlsplit(tab.url).path == path and value in getattr(CONTROLS.get(control), "choices", ()):
        title = CONTROLS[control].choices[value]
        tab.locator(".st-key-head").get_by_role("radio", name=title, exact=True).click()
        expect(tab).to_have_url(re.compile(rf"[?&]{control}={value}(&|$)"), timeout=40_000)
    else:
        tab.goto(view)
    if view not in EXCEPTIONS:
        expect(tab.locator(".st-key-picture")).to_be_visible(timeout=40_000)
    settled(tab)


def settled(tab: Page) -> None:
    app = tab.get_by_test_id("stApp")
    expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=40_000)
    expect(tab.get_by_test_id("stSkeleton")).to_have_count(0, timeout=40_000)
    charts = tab.locator(".st-key-picture [data-testid='stVegaLiteChart']")
    if charts.count():
        expect(charts.last.locator("svg.marks")).to_be_visible(timeout=40_000)
    tab.wait_for_timeout(200)  # the layout follows the last message by a frame or two
    expect(tab.get_by_test_id("stException")).to_have_count(0)


def box(tab: Page, name: str) -> dict[str, float]:
    found = tab.locator(f".st-key-{name}").bounding_box()
    assert found is not None
    return found


def nobody_is_shut_out(tab: Page) -> None:
    violations = Axe().run(tab, context=TEXT, options=AXE).response["violations"]
    assert {one["id"] for one in violations} <= NOT_OURS


@pytest.mark.parametrize("view", CHECKED)
def test_question_control_and_picture_are_in_one_screen(view, tab):
    opened(tab, view)
    nobody_is_shut_out(tab)
    if view in EXCEPTIONS:
        return
    controls, picture = box(tab, "controls"), box(tab, "picture")
    assert controls["y"] + controls["height"] <= HEIGHT
    assert picture["y"] + picture["height"] <= HEIGHT
    inside = tab.locator(".st-key-picture svg.marks, .st-key-picture img, .st-key-picture table")
    assert all(
        one.bounding_box()["y"] + one.bounding_box()["height"] <= HEIGHT for one in inside.all()
    )

    slider = tab.locator(".st-key-controls input[type='range'], .st-key-controls [role='slider']")
    if slider.count():
        slider.first.press("ArrowRight")
        tab.wait_for_timeout(300)
        settled(tab)
        moved = box(tab, "picture")
        assert abs(moved["y"] - picture["y"]) <= STILL
        assert abs(moved["height"] - picture["height"]) <= STILL


@pytest.mark.parametrize("view", CHECKED)
def test_on_a_projector_the_picture_takes_most_of_the_screen(view, tab):
    if view in EXCEPTIONS:
        pytest.skip(EXCEPTIONS[view])
    opened(tab, f"{view}&present=on")
    picture = box(tab, "picture")
    shown = min(HEIGHT, picture["y"] + picture["height"]) - picture["y"]
    assert shown >= 0.6 * HEIGHT
    assert picture["x"] >= 0 and picture["x"] + picture["width"] <= WIDTH


@pytest.mark.parametrize("view", ["/Train?", "/Compare?among=methods&methods=none,layer"])
def test_the_picture_keeps_its_place_while_networks_train(view, tab):
    opened(tab, f"{view}&images=500&epochs=1&seed=7")
    before, places = box(tab, "picture"), []
    tab.locator(".st-key-controls").get_by_role("button", name="Train").click()
    ended = tab.get_by_text(re.compile("^Done in|all done"))
    while not ended.count():
        # Nothing where the browser is just putting one picture in the place of another.
        places += filter(None, [tab.locator(".st-key-picture").bounding_box()])
        tab.wait_for_timeout(100)
        assert len(places) < 400, "the training does not end"
    settled(tab)
    places.append(box(tab, "picture"))
    assert len(places) > 3
    assert max(abs(one["y"] - before["y"]) for one in places) <= STILL
    assert max(abs(one["height"] - before["height"]) for one in places) <= STILL
