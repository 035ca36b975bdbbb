"""A lecturer and students in real browsers: a question is asked, voted on twice, and revealed.

All that a student's browser is sent before that, and all that it shows, is searched for an answer.
`STUDENTS=8 python -m pytest tests/test_browser_class.py` seats as many.
"""

import os
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from pages.components.lesson_list import LESSONS
from tests.benchmarks.serving import CHROMIUM_FLAGS, Server, chromium, start

LESSON, SECOND = LESSONS[:2]
STUDENTS = int(os.environ.get("STUDENTS", "3"))
PHONE = {"viewport": {"width": 390, "height": 844}, "locale": "en-US"}
LAPTOP = {"viewport": {"width": 1280, "height": 720}, "locale": "en-US"}
SECONDS = 1000  # Playwright counts in milliseconds
# How the answer would look, in the words of the page and of the votes.
GIVEN_AWAY = ("check_circle", "Here:", "What the picture says", "spoils", "lesson=")


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    server = start(tmp_path / "home")
    server.wait_until_healthy()
    yield server
    server.stop()


@pytest.fixture
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        sentence = "No Chromium on this machine: the browser test needs one."
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(sentence)
    with sync_playwright() as playwright:
        expect.set_options(timeout=40 * SECONDS)
        yield playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)


class Student:
    """A telephone, and all that its websocket was sent."""

    def __init__(self, browser: Browser, link: str) -> None:
        self.sent: list[bytes | str] = []
        self.tab = browser.new_context(**PHONE).new_page()
        self.tab.on("websocket", lambda one: one.on("framereceived", lambda f: self.sent.append(f)))
        self.tab.goto(link)

    def votes(self, option: str) -> None:
        self.tab.get_by_role("button", name=option).click()
        expect(self.tab.get_by_text(f"Voted: {option}")).to_be_visible()

    def knows_only(self, question: str) -> None:
        """Nothing that it was sent, and nothing that it shows, has an answer."""
        assert question in self.frames()  # they can be read
        for told in (self.frames(), self.tab.content()):
            assert [words for words in GIVEN_AWAY if words in told] == []

    def frames(self) -> str:
        return "\n".join(
            one if isinstance(one, str) else one.decode("latin-1") for one in self.sent
        )


def presses(tab: Page, name: str, then: str) -> None:
    tab.get_by_role("button", name=name, exact=True).first.click()
    expect(tab.get_by_role("button", name=then, exact=True).first).to_be_visible()


def test_a_class_votes_twice_and_nobody_is_told_before_the_reveal(server, browser):
    lecturer = browser.new_context(base_url=server.url, **LAPTOP).new_page()
    lecturer.goto("/Teach")
    presses(lecturer, "Start a class", then="Ask")
    lecturer.wait_for_function("document.cookie.includes('normlab=')")
    lecturer.reload()
    code = lecturer.get_by_role("heading", name=re.compile("^[2-9A-Z]{5}$")).inner_text()
    students = [Student(browser, f"{server.url}/?class={code}") for _ in range(STUDENTS)]
    firsts = [list(LESSON.options)[at % 2] for at in range(STUDENTS)]  # column, row, column, …
    for student in students:
        expect(student.tab.get_by_text("Wait for the first question.")).to_be_visible()

    presses(lecturer, "Ask", then="Close the vote")
    for student, option in zip(students, firsts, strict=True):
        expect(student.tab.get_by_role("heading", name=LESSON.question)).to_be_visible()
        student.votes(option)
    votes = lecturer.get_by_test_id("stMetricValue")
    expect(votes).to_have_text(f"{STUDENTS}")

    # A reload is no second voter; a server that was killed has lost no vote and no seat.
    server.kill()
    again = start(server.log.parent, port=server.port)
    again.wait_until_healthy()
    server.process = again.process
    for student in students[:2]:
        student.tab.reload()
    for student in students:
        expect(student.tab.get_by_text("Voted: ")).to_be_visible()
    lecturer.reload()
    expect(votes).to_have_text(f"{STUDENTS}")
    expect(lecturer.locator(".st-key-picture")).to_have_count(0)

    presses(lecturer, "Close the vote", then="Show the votes")
    presses(lecturer, "Show the votes", then="Vote again")
    expect(lecturer.get_by_text(f"First vote: {STUDENTS} votes.")).to_be_visible()
    presses(lecturer, "Vote again", then="Close the vote")
    for student in students:
        student.votes("Its column")
    presses(lecturer, "Close the vote", then="Reveal")
    for student in students:
        expect(student.tab.get_by_text("The second vote is closed.")).to_be_visible()
        student.knows_only(LESSON.question)

    presses(lecturer, "Reveal", then="Ask again")
    moved = f"{firsts.count('Its row')} from Its row to Its column"
    expect(lecturer.get_by_text(moved)).to_be_visible()
    expect(lecturer.get_by_text("Here: Its column")).to_be_visible()
    expect(lecturer.locator(".st-key-picture")).to_be_visible()
    for student, first in zip(students, firsts, strict=True):
        mine = student.tab.get_by_role("heading", name=re.compile(f"{first} · your first"))
        expect(mine).to_be_visible()
        assert all(words in student.frames() for words in ("check_circle", "lesson=outlier"))

    # The next lesson, asked from its own page and voted on once.
    lecturer.get_by_role("button", name="Next").click()
    presses(lecturer, "Ask the class", then="Close the vote")
    for student in students:
        expect(student.tab.get_by_role("heading", name=SECOND.question)).to_be_visible()
        student.sent.clear()
        student.votes("About half")
    presses(lecturer, "Close the vote", then="Reveal")
    for student in students:
        expect(student.tab.get_by_text("The vote is closed.")).to_be_visible()
        student.knows_only("The vote is closed.")
    presses(lecturer, "Reveal", then="Ask again")
    expect(lecturer.get_by_text("Here: About half")).to_be_visible()
    for student in students:
        mine = student.tab.get_by_role("heading", name="About half · your first vote")
        expect(mine).to_be_visible()
    lecturer.get_by_role("button", name="Bring the class").click()
    tab = students[0].tab
    expect(tab.get_by_role("link", name="The class is at Step by step")).to_be_visible()
    tab.get_by_role("link", name="See the picture").click()
    expect(tab.locator(".st-key-picture")).to_be_visible()
