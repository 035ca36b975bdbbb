"""A class on the pages: the lecturer's screen holds back, students vote, the page answers."""

from urllib.parse import parse_qsl

import live_pages
import pytest
from live_pages import pressed, ran, words

from normlib.config import TrainConfig
from pages.components import page, server, trainings
from pages.components.classroom import Seat
from pages.components.controls import CONTROLS
from pages.components.lesson_list import LESSONS, Lesson
from pages.components.navigation import PAGES
from pages.lab.classes import Classes
from pages.lab.queue import Experiments
from pages.lab.store import Store
from pages.lessons.step_by_step import convolution
from pages.lessons.teach import results, student
from pages.lessons.teach.plans import PLANS
from pages.lessons.teach.right_answers import right

RELU = next(lesson for lesson in LESSONS if lesson.name == "relu")


@pytest.fixture
def classes(drawn, serve, tmp_path, monkeypatch) -> Classes:
    serve(Experiments(drawn, workers=1))
    classes = Classes(Store(tmp_path))
    monkeypatch.setattr(server, "_classes", classes)
    return classes


def opened(lesson: Lesson | None = None, seat: Seat | None = None, **state):
    """The Teach page, or a lesson's, for somebody with this seat."""
    if lesson is None:
        return live_pages.opened("teach", session={"_seat": seat} if seat else {})
    link = {k: CONTROLS[k].format(v) for k, v in (dict(lesson.state) | state).items()}
    more = {"answers": "off", "lesson": lesson.name}
    return live_pages.opened(lesson.page, session={"_seat": seat} if seat else {}, **more, **link)


def said(app) -> str:
    headings = (one.value for one in (*app.title, *app.header, *app.subheader))
    return "\n".join([words(app), *headings])


def test_a_class_from_its_start_to_the_answer_on_a_students_screen(classes):
    app = pressed(opened(), "_start")
    lecturer = app.session_state["_seat"]
    assert classes.is_lecturer(lecturer.code, lecturer.key)
    assert lecturer.code in said(app)

    student = opened()
    student.text_input(key="_code").set_value(lecturer.code.lower())
    (join,) = (one for one in student.button if one.label == "Join")
    assert "Wait for the first question" in said(ran(join.click()))
    assert not student.session_state["_seat"].key

    # The lecturer's screen: the question, and neither a picture nor controls.
    app = opened(RELU, lecturer)
    assert not app.get("vega_lite_chart") and not app.slider
    app = pressed(app, "_class_front_hand")
    assert RELU.question in said(app) and not app.get("vega_lite_chart")

    student = ran(student)
    (vote,) = (one for one in student.button if one.label == "About half")
    assert "Voted: About half" in said(ran(vote.click()))
    assert all(one.label != "About half" for one in student.button)

    for step in ("front_hand", "bar_chart", "how_to_vote", "front_hand"):
        assert "Here:" not in said(pressed(app, f"_class_{step}"))
        assert not ran(student).subheader  # the options with the marks of the answer
    pressed(app, "_class_key")
    assert "Here: **About half**" in said(app)
    assert len(app.success) == 1
    question = classes.state(lecturer.code).question
    assert question.right == ("About half",)
    assert question.link.startswith("steps?show=relu")
    assert "About half · your first vote" in said(ran(student))


def test_the_question_of_any_view_can_be_asked_there(classes):
    code, key = classes.start()
    link = {"show": "convolution", "method": "layer", "answers": "off"}
    app = live_pages.opened("steps", session={"_seat": Seat(code, key)}, **link)
    assert app.get("vega_lite_chart")  # held back only once it is asked
    app = pressed(app, "_ask_view")
    assert convolution.QUESTION in said(app) and not app.get("vega_lite_chart")
    student = opened(None, Seat(code))
    assert convolution.QUESTION in said(student)
    assert {*convolution.OPTIONS} <= {one.label for one in student.button}
    for step in ("front_hand", "key"):
        app = pressed(app, f"_class_{step}")
    assert "Here: **All channels of one example**" in said(app)
    assert classes.state(code).question.right == ("All channels of one example",)
    # Another view is another question, and this one's page is open there.
    other = ran(app.button_group(key="show").set_value("table"))
    assert other.get("vega_lite_chart") and "Here:" not in said(other)


def test_what_is_right_is_what_the_page_shows_when_it_is_revealed(classes):
    code, key = classes.start()
    classes.ask(code, key, RELU.name, RELU.question, list(RELU.options))
    for phase in ("closed", "revealed"):
        classes.move(code, key, phase)
    app = opened(RELU, Seat(code, key), beta=3.0)
    assert classes.state(code).question.right == ("Nothing",)
    # Moved on afterwards, the page says what holds there; the class keeps its answer.
    assert "Here: **About half**" in said(ran(app.slider(key="beta").set_value(0.0)))
    assert classes.state(code).question.right == ("Nothing",)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_the_right_answer_of_a_plan_is_what_the_page_says(lesson, mnist, serve, monkeypatch):
    serve(Experiments(mnist, workers=1))
    monkeypatch.setattr(server, "_warm_up", live_pages.Ready(mnist))
    link = {name: CONTROLS[name].format(value) for name, value in lesson.state.items()}
    app = live_pages.opened(lesson.page, answers="on", lesson=lesson.name, **link)
    (here,) = (one.value for one in app.markdown if "Here: " in one.value)
    (option,) = right(lesson)
    assert here.endswith(f"Here: **{option}**")


def test_a_plan_tells_right_answers_to_the_lecturer_who_asks(classes):
    assert not [one for one in opened().toggle if one.key == "_right"]
    app = opened(None, Seat(*classes.start()))
    assert "check_circle: **Its column**" not in said(app)
    app = ran(app.toggle(key="_right").set_value(True))
    assert "check_circle: **Its column**" in said(app)
    assert "not trained here yet" in said(app)  # on these data


def test_the_class_is_sent_where_the_lecturer_is_and_nobody_is_moved(classes):
    code, key = classes.start()
    app = opened(RELU, Seat(code, key))
    assert "Bring the class" not in [one.label for one in app.button]  # nobody has answered yet
    pressed(pressed(app, "_class_visibility"), "_send")
    here = classes.state(code).here
    assert here.startswith("steps?show=relu") and "lesson=relu" in here
    assert "present" not in here and "answers" not in here
    student = opened(None, Seat(code))
    assert "The class is at Step by step" in said(student)


def test_what_a_student_trains_is_a_point_of_the_class(classes, queue, monkeypatch):
    code, key = classes.start()
    student = {"_seat": Seat(code)}
    pressed(live_pages.opened("train", session=student, images="500", epochs="1"), "_train")
    (run,) = classes.runs(code)
    assert queue.find(run).wait_until_over(60)
    monkeypatch.setattr(server, "_store", queue.store)
    app = opened(None, Seat(code, key))
    assert live_pages.charts(app) == 1
    assert "1 training over, 0 diverged (✕). Best: " in said(app)
    pressed(app, "_to_train")
    assert classes.state(code).here.startswith("train?")
    assert "The class is at Train" in said(opened(None, Seat(code)))


def test_each_student_trains_a_seed_of_their_own_in_pairs(classes, queue, monkeypatch):
    code, key = classes.start()
    monkeypatch.setattr(server, "_store", queue.store)
    pressed(opened(None, Seat(code, key)), "_to_seeds")
    seeds: set[int] = set()
    for session in ("a1", "b2"):
        monkeypatch.setattr(trainings, "session", lambda session=session: session)
        assert "The class is at Compare" in said(opened(None, Seat(code)))
        place = student.with_own_seed(classes.state(code).here)
        asked = dict(parse_qsl(place.partition("?")[2]))
        assert int(asked["seed"]) not in seeds
        seeds.add(int(asked["seed"]))
        quick = asked | {"images": "500"}
        app = live_pages.opened("compare", session={"_seat": Seat(code)}, **quick)
        pressed(app, "_train_all")
    assert len(classes.runs(code)) == 4
    for run in classes.runs(code):
        assert queue.find(run).wait_until_over(60)
    app = opened(None, Seat(code, key))
    assert live_pages.charts(app) == 4  # accuracies, differences, and a panel for each method
    assert "2 seeds · a mark for each seed" in said(app)


def test_a_wrong_code_gets_a_sentence(classes):
    app = opened()
    app.text_input(key="_code").set_value("ZZZZZ")
    (join,) = (one for one in app.button if one.label == "Join")
    assert "No class has this code now." in said(ran(join.click()))


def test_a_link_takes_a_seat_and_a_key_leaves_the_address(classes):
    code, key = classes.start()
    app = live_pages.opened("teach", **{"class": code, "key": "wrong"})
    assert (app.session_state["_seat"].code, app.session_state["_seat"].key) == (code, "")
    app = live_pages.opened("teach", **{"class": code, "key": key})
    assert app.session_state["_seat"].key == key
    assert "key" not in app.query_params


def test_the_plans_fill_their_time_and_ask_lessons_that_there_are(classes):
    for name, steps in PLANS.items():
        assert sum(step.minutes for step in steps) == int(name)
        asked = [lesson for step in steps for lesson in step.lessons]
        assert set(asked) <= {lesson.name for lesson in LESSONS}
        assert all(step.lessons or step.pages for step in steps)
        assert {one for step in steps for one in step.pages} <= set(PAGES)
    assert {one for step in PLANS["90"] for one in step.lessons} == {one.name for one in LESSONS}


def test_the_hand_out_has_all_questions_and_options_and_no_answers(classes):
    text = said(live_pages.opened("teach", plan="handout"))
    for lesson in LESSONS:
        assert lesson.question in text
        assert all(f"☐ {option}" in text for option in lesson.options)
    assert "Expect" not in text


def test_votes_as_a_file_and_the_wrong_ones_that_stayed(classes):
    code, key = classes.start()
    classes.ask(code, key, RELU.name, RELU.question, list(RELU.options))
    for voter, option in (("a", "Nothing"), ("b", "About half"), ("c", "Nothing")):
        classes.vote(code, 1, voter, option, sure=3 if voter == "b" else 0)
    for phase in ("closed", "revealed"):
        classes.move(code, key, phase)
    classes.settle(code, key, ["About half"], "steps?")
    lines = results.as_csv(classes.questions(code, key)).splitlines()
    assert lines[0] == "question,lesson,option,right,first vote,second vote,sure"
    assert lines[1:4:2] == [
        "1,What ReLU cuts,Nothing,0,2,,",
        "1,What ReLU cuts,About half,1,1,,3.00",
    ]
    text = said(opened(None, Seat(code, key)))
    assert "What ReLU cuts · **Nothing** (2 of 3)" in text
    assert "What ReLU cuts · 33% right" in text


# Lesson -> settings of its view; each a question of its own. Trainings: tests/test_page_home.py.
ELSEWHERE = {
    "outlier": [{}, {"method": "layer"}, {"method": "weight"}],
    "relu": [{}, {"beta": -2.0}, {"gamma": 0.5, "beta": 1.0}, {"method": "layer", "gamma": -1.0}],
    "undo": [{}, {"affine": "undo"}, {"method": "layer"}, {"method": "weight"}],
    "one": [{}, {"batch": 2}, {"batch": 3, "eps": 1.0}],
    "inference": [{}, {"against": "momentum"}, {"layers": "conv"}, {"batch": 8}],
    "mates": [{}, {"mates": "1"}, {"crowd": 32}, {"layers": "conv"}],
    "terms": [{}, {"method": "layer"}, {"mistake": "statistics as constants"}, {"eps": 1.0}],
    "check": [{}, {"mistake": "none"}, {"mistake": "wrong axes"}, {"method": "layer"}],
    "filters": [{}, {"setting": "as-written"}],
}
STATES = [(name, state) for name, states in ELSEWHERE.items() for state in states]


@pytest.mark.parametrize(("name", "state"), STATES)
def test_exactly_one_option_holds_where_the_view_has_facts(name, state, classes):
    lesson = next(one for one in LESSONS if one.name == name)
    app = opened(lesson, **state)
    facts = app.session_state["_facts"]
    assert len(lesson.right(facts)) == 1, facts


def test_a_page_without_a_class_asks_no_database(drawn, serve, monkeypatch):
    serve(Experiments(drawn, workers=1))
    monkeypatch.setattr(server, "classes", lambda: pytest.fail("A class was looked for."))
    assert RELU.question in said(opened(RELU))
    assert "Start a class" in [one.label for one in opened().button]
    assert page.PAGES["teach"].path == "Teach"


def test_the_lecturer_stops_what_the_class_trains_and_students_cannot(classes, puppet):
    lecturer = pressed(opened(), "_start").session_state["_seat"]
    queue = server.queue_so_far()
    asked = [queue.submit(TrainConfig(seed=seed), "somebody") for seed in (1, 2, 3)]
    for one in asked[:2]:
        classes.keep_run(lecturer.code, one.key)
    for seat in (Seat(lecturer.code), None):
        assert not any(one.key == "_stop_class" for one in opened(seat=seat).button)
    app = opened(seat=lecturer)
    assert app.button(key="_stop_class").label.endswith("2 under way or waiting")
    pressed(app, "_stop_class")
    assert [one._stopping for one in asked] == [True, True, False]  # others are not theirs
    assert asked[1].status == "stopped"
