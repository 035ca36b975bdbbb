"""The app in a real Chromium: a slider, a picture, a training, and the way back to it."""

import os
import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from pages.components.controls import CONTROLS
from pages.components.lesson_list import LESSONS
from tests.benchmarks.serving import CHROMIUM_FLAGS, chromium, serving

SECONDS = 1000  # Playwright counts in milliseconds
PICTURE = "[data-testid='stVegaLiteChart'] svg.marks"
SHAPES = "svg => [...svg.querySelectorAll('path')].map(path => path.getAttribute('d')).join()"


@pytest.fixture
def tab(tmp_path) -> Iterator[Page]:
    """A tab of a new browser, and its server, whose home is a new folder."""
    path = chromium()
    if path is None:
        sentence = "No Chromium on this machine: the browser test needs one."
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(sentence)
    with serving(tmp_path / "home") as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        context = browser.new_context(
            base_url=server.url, viewport={"width": 1280, "height": 720}, locale="en-US"
        )
        context.set_default_timeout(40 * SECONDS)
        expect.set_options(timeout=40 * SECONDS)
        yield context.new_page()
        browser.close()


def settled(tab: Page) -> None:
    """Wait until the page is drawn, and see that it shows no exception."""
    app = tab.get_by_test_id("stApp")
    expect(app).to_have_attribute("data-test-connection-state", "CONNECTED")
    expect(app).to_have_attribute("data-test-script-state", "notRunning")
    expect(tab.get_by_test_id("stException")).to_have_count(0)


def test_a_lesson_from_the_slider_to_a_training_and_back(tab):
    # One batch, one picture; a slider moves, and the picture with it. What the link asked for and
    # could not have is said until then, outside of what the slider draws again.
    tab.goto("/Activation_statistics?batch=64&seed=[a](b)")
    expect(tab.get_by_text("batch size 64").first).to_be_visible()
    settled(tab)
    expect(tab.get_by_text("Seed cannot be [a](b): it takes whole numbers")).to_be_visible()
    pictures = tab.locator(PICTURE)
    expect(pictures.first).to_be_visible()
    before = pictures.first.evaluate(SHAPES)
    for _ in range(3):
        tab.locator(".st-key-batch input").press("ArrowLeft")
    expect(tab.get_by_text("batch size 24").first).to_be_visible()
    settled(tab)
    expect(tab).to_have_url(re.compile(r"[?&]batch=24(&|$)"))
    expect(tab.get_by_text("Seed cannot be")).to_have_count(0)
    assert pictures.first.evaluate(SHAPES) != before

    # A training: the side bar leads there, the batch size comes along, and it is a long one.
    tab.get_by_test_id("stSidebar").get_by_role("link", name="Train").click()
    expect(tab).to_have_url(re.compile(r"/Train\?.*batch=24(&|$)"))
    settled(tab)
    tab.get_by_text("More settings").click()
    expect(tab.locator(".st-key-epochs input")).to_be_visible()
    tab.locator(".st-key-epochs input").press("End")
    expect(tab.get_by_text("300,000 images in all")).to_be_visible()
    settled(tab)
    tab.get_by_role("button", name="Train", exact=True).click()
    expect(tab.get_by_text(re.compile(r"Step \d+ of [\d,]+"))).to_be_visible()
    expect(pictures.first).to_be_visible()
    tab.get_by_role("button", name="Stop", exact=True).click()
    stopped = tab.get_by_text(re.compile(r"Stopped at step [\d,]+\.")).first
    expect(stopped).to_be_visible()
    settled(tab)
    words, link = stopped.inner_text(), tab.url
    assert "run=" in link

    # The link brings the run back.
    tab.goto(link)
    expect(tab.get_by_text(words).first).to_be_visible()
    expect(pictures.first).to_be_visible()
    settled(tab)


def test_lessons_by_the_page_keys_and_one_step_back_for_each_page(tab):
    tab.goto("/")
    settled(tab)
    tab.get_by_role("button", name="Start").click()
    expect(tab.get_by_text(f"1 of 12 · {LESSONS[0].title}.")).to_be_visible()
    # A lesson's link opens it with its bar; whoever has answers=off predicts first.
    for lesson, after in pairwise(LESSONS[:4]):
        settled(tab)
        expect(tab.get_by_role("button", name="Show the answer")).to_be_visible()
        expect(tab).to_have_url(re.compile(rf"lesson={lesson.name}"))
        tab.keyboard.press("PageDown")
        expect(
            tab.get_by_text(f"{after.number} of {len(LESSONS)} · {after.title}.")
        ).to_be_visible()
    settled(tab)

    # A slider writes the address and no entry of the history: back leads to the page before.
    entries = tab.evaluate("history.length")
    batch = CONTROLS["batch"]
    for _ in range(2):
        tab.locator(".st-key-batch input").press("ArrowRight")
    expect(tab).to_have_url(re.compile(rf"batch={batch.steps[2]}(&|$)"))
    assert tab.evaluate("history.length") == entries
    tab.go_back()
    expect(tab).to_have_url(re.compile("/Step_by_step"))
    settled(tab)

    # In a frame of another site and in a presentation the page comes without the side bar.
    tab.goto("/Step_by_step?embed=true")
    expect(tab.get_by_role("heading", name="Step by step")).to_be_visible()
    settled(tab)
    expect(tab.get_by_test_id("stSidebar")).to_have_count(0)
    tab.goto("/Step_by_step?present=on")
    expect(tab.get_by_role("button", name="Leave")).to_be_visible()
    expect(tab.locator(PICTURE).first).to_be_visible()
    settled(tab)
    tab.keyboard.press("PageDown")
    expect(tab).to_have_url(re.compile("show=convolution"))
    settled(tab)
    tab.get_by_role("button", name="Leave").click()
    expect(tab.get_by_test_id("stSidebar")).to_be_visible()
    assert "present" not in tab.url
