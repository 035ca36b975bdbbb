"""The home page: light, truthful about its data, and with lessons whose links and answers hold."""

import base64
import io
import os
import subprocess
import sys
import zipfile

import live_pages
import numpy as np
import pytest
from live_pages import Ready, ran
from streamlit.testing.v1 import AppTest

from normlib.mnist import Dataset
from pages.components import controls, page, server, theme
from pages.components.controls import CONTROLS, FOUR_METHODS
from pages.components.lesson_list import LESSONS
from pages.lab import words as naming
from pages.lab.queue import Experiments

HOME = page.ROOT / page.PAGES["home"].file
PICTURES = page.ROOT / "pages" / "components" / "pictures"
METHODS = ("none", "batch", "layer", "weight")


class Looking(Ready):
    """A server that has not found its data yet."""

    data_is_here = tensorflow_is_here = lambda self: False


@pytest.fixture
def warm(drawn, serve) -> Dataset:
    serve(Experiments(drawn, workers=1))
    return drawn


def opened() -> AppTest:
    return live_pages.opened("home")


def uploaded(app: AppTest, content: bytes) -> AppTest:
    return ran(app.file_uploader[0].set_value(("mnist.npz", content, "application/octet-stream")))


def words(app: AppTest) -> str:
    kinds = (*app.markdown, *app.caption, *app.header, *app.text, *app.latex, *app.warning)
    return "\n".join(element.value for element in kinds)


def npz(**changes: np.ndarray) -> bytes:
    arrays = {
        "x_train": np.zeros((1_200, 28, 28), np.uint8),
        "y_train": np.arange(1_200, dtype=np.uint8) % 10,
        "x_test": np.zeros((100, 28, 28), np.uint8),
        "y_test": np.arange(100, dtype=np.uint8) % 10,
    }
    stream = io.BytesIO()
    np.savez_compressed(stream, **(arrays | changes))
    return stream.getvalue()


def test_the_page_is_drawn_without_any_of_the_slow_libraries():
    """In a process of its own, where no other test has loaded them."""
    code = f"""
import sys
from streamlit.testing.v1 import AppTest
from pages.components import server
class Looking:
    data_is_here = tensorflow_is_here = lambda self: False
server._warm_up = Looking()
app = AppTest.from_file({str(HOME)!r}, default_timeout=60).run()
assert app.latex and not app.exception
print({{"tensorflow", "pandas", "pyarrow", "altair", "PIL"}} & set(sys.modules))
"""
    environment = os.environ | {"PYTHONPATH": str(page.ROOT)}
    told = subprocess.check_output(
        [sys.executable, "-c", code], env=environment, cwd=page.ROOT, text=True
    )
    assert told.strip() == "set()"


def test_the_page_is_whole_before_the_data_are_there(drawn, monkeypatch):
    monkeypatch.setattr(server, "_warm_up", Looking(drawn))
    app = opened()
    assert "Looking for MNIST" in words(app)
    assert "**Twelve lessons**" in words(app)


def test_each_method_has_its_formula_its_sentence_and_its_picture(warm):
    app = opened()
    formulas = [element.value.strip("$\n") for element in app.latex]
    pictures = [one.proto.body for one in app.get("html") if "<img" in one.proto.body]
    assert len(formulas) == 1 + len(METHODS)
    for method, formula, picture in zip(METHODS, formulas[1:], pictures, strict=True):
        assert f"## {naming.title(method)}" in words(app)
        assert {"none": "z = x", "weight": "g_c"}.get(method, r"\mu") in formula
        drawing = base64.b64encode((PICTURES / f"{method}.svg").read_bytes()).decode()
        assert drawing in picture
        assert f'alt="{naming.title(method)}.' in picture
    assert "One mean per channel, over images and positions." in words(app)


def test_only_what_is_averaged_has_colour():
    colors = {theme.COLORS[method] for method in METHODS if method != "none"}
    for method in METHODS:
        svg = (PICTURES / f"{method}.svg").read_text()
        own = {theme.COLORS[method]} & colors
        assert {color for color in colors if color in svg} == own
        faces = svg.count(f'fill="{theme.COLORS[method]}"')
        assert faces == (0 if method == "none" else 3)  # one slice's visible faces


# ---- the lessons -----------------------------------------------------------------------------


def test_twelve_lessons_fit_into_an_hour():
    assert len(LESSONS) == len({lesson.name for lesson in LESSONS}) == 12
    assert sum(lesson.minutes for lesson in LESSONS) <= 60


SURVIVORS = ((), ("batch",), ("batch", "layer"), FOUR_METHODS[1:], FOUR_METHODS)
MEASURED = {
    "outlier": [{"spoils": what} for what in ("column", "row", "all", "cell", "none")],
    "relu": [{"cut": n / 12} for n in range(13)],
    "undo": [{"here": h, "next": n} for h, n in ((True, True), (True, False), (False, False))],
    "one": [{"batch": b, "std": std} for b, std in ((1, 0.0), (2, 0.9), (3, 0.8), (64, 1e-3))],
    "inference": [{"lost": n / 100} for n in range(-5, 90)],
    "mates": [{"depends": set(those)} for those in ((), ("batch",), FOUR_METHODS)],
    "terms": [{"reached": what} for what in ("cell", "column", "row", "none")],
    "check": [{"wrong": wrong} for wrong in (set(), {"x"}, {"gamma"})],
    "rate": [{"survivors": set(those)} for those in SURVIVORS],
    "depth": [{"read": set(those)} for those in SURVIVORS],
    "shift": [{"settled": s, "lead": n} for s in (True, False) for n in (-0.1, 0.1)],
    "filters": [{"settled": s, "lead": n} for s in (True, False) for n in (-0.3, 0.26)],
}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_each_answer_of_a_lesson_is_right_somewhere_and_one_at_a_time(lesson):
    right = [
        [option for option, holds in lesson.options.items() if holds(measured)]
        for measured in MEASURED[lesson.name]
    ]
    assert all(len(options) == 1 for options in right), right
    assert {options[0] for options in right} == set(lesson.options)


def test_a_lesson_brings_its_bar_to_its_page_and_lets_predict(warm):
    lesson = LESSONS[0]
    link = {name: CONTROLS[name].format(value) for name, value in lesson.state.items()}
    app = live_pages.opened(lesson.page, answers="off", lesson=lesson.name, **link)
    shown = "\n".join(element.value for element in app.markdown)
    assert f"**1 of 12 · {lesson.title}.** {lesson.question}" in shown
    prediction = app.button_group(key=f"_prediction_{lesson.name}")
    assert prediction.options == list(lesson.options)
    ran(prediction.set_value("Its row"))
    assert lesson.name in app.query_params["lesson"]
    assert "Here:" not in "\n".join(element.value for element in app.markdown)
    ran(app.button(key=f"_reveal_{lesson.name}").click())
    assert "Here: **Its column**" in "\n".join(element.value for element in app.markdown)
    assert app.button_group(key=f"_prediction_{lesson.name}").value == "Its row"


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_the_link_of_a_lesson_opens_its_page_as_it_says(lesson, warm):
    names = page.PAGES[lesson.page].controls
    assert set(lesson.state) <= set(names)
    state = {name: lesson.state.get(name, CONTROLS[name].default) for name in names}
    link = {name: CONTROLS[name].format(value) for name, value in state.items()}
    before = {"_controls": controls._State(values={"batch": 3, "eps": 0.5, "seed": 9})}
    app = live_pages.opened(lesson.page, session=before, **link)
    assert not app.warning
    values = app.session_state["_controls"].values
    for name in names:  # the same for everybody, whatever they did before
        if CONTROLS[name].kind != "text" or name in lesson.state:
            assert values[name] == state[name]


# ---- the data --------------------------------------------------------------------------------


def test_the_page_says_which_data_are_in_use_and_why(warm, monkeypatch):
    arrays = vars(warm) | {"notes": ("Keras's cache was passed over: there is no such file.",)}
    monkeypatch.setattr(server, "_warm_up", Ready(Dataset(**arrays)))
    app = opened()
    assert "**Drawn digits**" in words(app)
    assert "1,000 images to train on, 200 for validation, 300 for the test." in words(app)
    assert "Keras's cache was passed over: there is no such file." in words(app)


def test_an_upload_is_used_in_its_session_and_only_there(warm):
    app = uploaded(opened(), npz())
    assert "**Uploaded data**: your file, for this visit only. 1,100 images" in words(app)
    assert app.sidebar.caption[-1].value == "1,100 training images. This is not MNIST."
    assert "1,000 images" in words(opened())
    (back,) = (button for button in app.button if button.label == "Back to the server's data")
    back.click().run()
    assert "**Drawn digits**" in words(app)
    assert app.sidebar.caption[-1].value == "1,000 training images. This is not MNIST."


def test_one_file_uploaded_twice_is_in_memory_once(warm):
    first, second = (uploaded(opened(), npz()).session_state["_dataset"] for _ in range(2))
    assert first is second


def _zip_of_text() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("readme.txt", "no arrays")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"not a zip file", "it is not a whole .npz file of arrays"),
        (b"", "it is not a whole .npz file of arrays"),
        (npz()[:-500], "it is not a whole .npz file of arrays"),
        (_zip_of_text(), "it must hold exactly x_train, y_train, x_test, y_test"),
        (npz(x_test=np.zeros((100, 27, 28), np.uint8)), "x_test must hold"),
        (npz(y_test=np.full(100, 11, np.uint8)), "labels go from 0 to 9"),
        (npz(x_train=np.zeros((1_200, 28, 28))), "must hold uint8 numbers"),
        (npz(y_train=np.array([None] * 1_200)), "Object arrays cannot be loaded"),
    ],
    ids=["text", "empty", "cut", "foreign", "shape", "label", "dtype", "pickle"],
)
def test_a_faulty_upload_gets_one_sentence_and_changes_nothing(content, says, warm):
    app = uploaded(opened(), content)
    (warning,) = app.warning
    assert warning.value.startswith("The uploaded file cannot be used: ")
    assert says in warning.value
    assert "**Drawn digits**" in words(app)
    assert not uploaded(app, npz()).warning
    assert "**Uploaded data**" in words(app)


def test_the_readme_lists_the_lessons():
    readme = (page.ROOT / "README.md").read_text(encoding="utf-8")
    for lesson in LESSONS:
        assert f"| {lesson.number} | {lesson.title} | {lesson.minutes} |" in readme
    assert f"That is {sum(lesson.minutes for lesson in LESSONS)} minutes." in readme
