"""The page Write it yourself: a text is checked, kept for its browser, and trained with."""

from itertools import cycle

import pytest
from live_pages import charts, opened, pressed, ran, words
from solutions import STYLES, solution

from normlib.config import TrainConfig
from normlib.exercises import EXERCISES, MISTAKES
from normlib.exercises.files import assignment, part_of, source_of
from pages.components import page
from pages.lab.own_training import STANDS_FOR, train_own
from pages.lab.queue import Own
from pages.lessons.write import texts
from pages.lessons.write.exercise import lesson_of


def written(app, text):
    app.text_area[0].set_value(text)
    return ran(app)


def test_a_mistake_is_named_and_shown_in_numbers_and_the_right_text_passes(queue):
    app = opened("write", exercise="batch-norm-conv")
    assert app.text_area[0].value == EXERCISES["batch_norm_conv"].starter
    pressed(app, "_check_own")
    assert app.code[0].value == "It returns nothing yet."
    right = solution("batch_norm_conv", "keepdims")
    pressed(written(app, right.replace("(0, 1, 2)", "(1, 2)")), "_check_own")
    assert app.error[0].value.startswith("**Mean over positions only.**")
    assert app.code[0].value.startswith("For x = [4, 5] of shape (2, 1, 1, 1)")
    pressed(written(app, right), "_check_own")
    assert not app.error and app.success[0].value == "Right, forward and backward."
    assert "1 of 12 solved: ✓ Batch norm of a convolution." in words(app)
    written(app, right + "\n")
    assert not app.success  # another text, not checked yet


def test_a_text_stays_with_its_browser_and_with_nobody_else(queue):
    right = solution("x_hat", "transposes")
    app = opened("write", "theirs", exercise="x-hat")
    pressed(written(app, right), "_check_own")
    again = opened("write", "theirs", exercise="x-hat")
    assert again.text_area[0].value == right
    assert "1 of 12" in words(again)
    other = opened("write", "another", exercise="x-hat")
    assert other.text_area[0].value == EXERCISES["x_hat"].starter
    assert "0 of 12" in words(other)
    next(button for button in again.button if button.label == "Start over").click()
    assert ran(again).text_area[0].value == EXERCISES["x_hat"].starter


def test_train_with_mine_lies_on_the_labs_curve_and_is_kept_nowhere(queue):
    app = opened("write", exercise="batch-norm-conv")
    pressed(written(app, solution("batch_norm_conv", "sums and rsqrt")), "_train_own")
    for experiment in list(queue._known.values()):
        assert experiment.wait_until_over(60)
    assert charts(ran(app)) == 1
    assert "by no more than" in words(app)
    labs, mine = (
        next(one for one in queue._known.values() if (one._own is None) is lab)
        for lab in (True, False)
    )
    assert mine.run.losses[:2] == pytest.approx(labs.run.losses[:2], rel=1e-3)
    assert [summary.key for summary in queue.earlier()] == [labs.key]
    assert queue.store.load(mine.key) is None and queue.store.load(labs.key) is not None


@pytest.mark.parametrize("exercise", STANDS_FOR)
def test_every_style_trains_as_the_lab_does(exercise, drawn):
    from normlib.training import train

    config = TrainConfig(normalization=STANDS_FOR[exercise], train_size=128, epochs=1)
    labs = train(config, drawn).losses
    for style in STYLES:
        text = solution(exercise, style)
        mine = train_own(exercise, text, config, drawn, lambda event: None, lambda: False)
        assert mine.status == "finished", mine.message
        assert mine.losses[0] == pytest.approx(labs[0], rel=1e-4)
        # Where the largest of four numbers is that of a flat part, rounding chooses among them.
        assert mine.losses[1] == pytest.approx(labs[1], rel=2e-3)


def test_a_text_that_fails_in_training_is_a_sentence(queue, drawn):
    text = "def batch_norm_conv(x, gamma, beta, epsilon):\n    return tf.reduce_sum(x, 9)"
    own = Own("failing", lambda *a, **named: train_own("batch_norm_conv", text, *a, **named))
    config = TrainConfig(train_size=128, epochs=1)
    experiment = queue.submit(config, "me", own=own)
    assert experiment.wait_until_over(60)
    assert experiment.status == "stopped" and experiment.message.startswith("Line 2: Invalid")
    assert queue.find(config.key(drawn.checksum)) is None


@pytest.mark.parametrize(
    ("returned", "status", "said"),
    [
        ("x", "finished", ""),  # gamma and beta are not used
        ("x / 0.0", "diverged", "Diverged at step 1."),
        ("x[:1]", "stopped", "What it returns does not have the shape (64, 28, 28, 30)."),
        ("tf.cast(x, tf.float64)", "stopped", "What it returns is float64: keep float32."),
        ("x + x[..., None]", "stopped", "Line 2: shapes (64, 28, 28, 30) and (64, 28, 28, 30, 1)"),
        ("x, x", "stopped", "What it returns does not have the shape (64, 28, 28, 30)."),
    ],
)
def test_what_a_training_says_of_a_wrong_function(returned, status, said, drawn):
    text = f"def batch_norm_conv(x, gamma, beta, epsilon):\n    return {returned}"
    config = TrainConfig(train_size=64, epochs=1)
    run = train_own("batch_norm_conv", text, config, drawn, lambda event: None, lambda: False)
    assert run.status == status and run.message.startswith(said)


def test_every_mistake_links_to_a_page_that_shows_it():
    for mistake in MISTAKES.values():
        name, state = lesson_of(mistake)
        assert state and set(state) <= set(page.PAGES[name].controls), mistake.name


@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
def test_a_file_brings_every_text_back(suffix):
    styles = cycle(STYLES)
    written = {name: solution(name, next(styles)) for name in EXERCISES}
    text = source_of(f"a{suffix}", assignment(suffix, written))
    space: dict = {}
    exec(text, space)  # helper functions of one name, and different, do not get in each other's way
    for name in EXERCISES:
        part = part_of(text, name)
        assert (f"def {name}(" in part and "def inverse" in part) or "def average" in part
        assert "def batch_norm(" not in part or name == "batch_norm"


def test_an_uploaded_notebook_is_taken_apart_by_exercise(monkeypatch):
    kept: dict = {}
    monkeypatch.setattr(texts, "put", kept.__setitem__)
    monkeypatch.setattr(texts.st, "session_state", {})
    content = assignment(".ipynb", {"x_hat": solution("x_hat", "keepdims")})
    texts._use("a.ipynb", content.encode())
    assert set(kept) == set(EXERCISES)
    assert kept["x_hat"].split() == solution("x_hat", "keepdims").split()
    texts._use("a.ipynb", b"{}")
    assert texts.st.session_state["_own_told"] == "a.ipynb is not a notebook that can be read."
    texts._use("a.py", b"\xff\xfe")
    assert texts.st.session_state["_own_told"] == "a.py is not a text."
