"""Classes: who may do what, one vote of each, and none that a kill takes back."""

import signal
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from test_store import make_run

from normlib.config import TrainConfig
from pages.lab import class_runs
from pages.lab import classes as module
from pages.lab.classes import Classes, Refused
from pages.lab.store import Store
from pages.lab.votes import Question, Vote, confidence, moves, share_right, survivors, tally

ROOT = Path(__file__).parents[1]
OPTIONS = ("Its column", "Its row", "All of them")
CYCLE = ("closed", "shown", "second", "closed again", "revealed")


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path):
    with closing(Store(tmp_path)) as store:
        yield store


@pytest.fixture
def classes(store, clock) -> Classes:
    return Classes(store, clock)


@pytest.fixture
def asked(classes) -> tuple[str, str]:
    """A class, its code and key, with a question that is open."""
    code, key = classes.start()
    classes.ask(code, key, "outlier", "Which?", OPTIONS)
    return code, key


def test_a_whole_cycle(classes, asked):
    code, key = asked
    for voter, option in (("a", OPTIONS[0]), ("b", OPTIONS[1]), ("c", OPTIONS[1])):
        assert classes.vote(code, 1, voter, option, sure=2)
    for phase in CYCLE[:3]:
        classes.move(code, key, phase)
    for voter, option in (("a", OPTIONS[0]), ("b", OPTIONS[0]), ("d", OPTIONS[1])):
        assert classes.vote(code, 1, voter, option)
    question = classes.state(code).question
    assert (question.phase, question.voted_twice, question.right) == ("second", True, None)
    assert classes.count(code, question) == 3
    for phase in CYCLE[3:]:
        classes.move(code, key, phase)
    classes.settle(code, key, OPTIONS[:1], "steps?method=batch")
    classes.settle(code, key, OPTIONS[1:2], "elsewhere")  # what is written stays
    ((question, votes),) = classes.questions(code, key)
    assert (question.right, question.link) == (OPTIONS[:1], "steps?method=batch")
    assert tally(question, votes) == {
        OPTIONS[0]: (1, 2),
        OPTIONS[1]: (2, 1),
        OPTIONS[2]: (0, 0),
    }
    assert moves(votes) == [(OPTIONS[1], OPTIONS[0], 1)]
    assert [share_right(question, votes, second) for second in (False, True)] == [1 / 3, 2 / 3]
    assert survivors(question, votes) == [(OPTIONS[1], 1, 3)]
    assert classes.own(code, 1, "b") == {False: OPTIONS[1], True: OPTIONS[0]}
    assert confidence(votes, OPTIONS[0]) == 2.0  # of those who said so
    assert confidence(votes, OPTIONS[2]) is None


def test_survivors_of_a_question_that_was_asked_once_are_those_of_its_only_vote():
    question = Question(
        1, "outlier", "Which?", OPTIONS, "revealed", OPTIONS[:1], "", voted_twice=False
    )
    votes = [Vote("a", False, OPTIONS[1], 0), Vote("b", False, OPTIONS[0], 0)]
    assert survivors(question, votes) == [(OPTIONS[1], 1, 2)]
    assert moves(votes) == []
    assert [share_right(question, votes, second) for second in (False, True)] == [0.5, None]
    assert share_right(replace(question, right=None), votes, False) is None


def test_a_voter_counts_once_in_each_vote_and_cannot_change_it(classes, asked):
    code, _ = asked
    assert classes.vote(code, 1, "a", OPTIONS[0])
    assert not classes.vote(code, 1, "a", OPTIONS[1])
    assert classes.own(code, 1, "a") == {False: OPTIONS[0]}
    assert classes.count(code, classes.state(code).question) == 1


def test_votes_at_the_same_moment_count_once_each(classes, asked):
    code, _ = asked
    counted = []

    def vote(voter: str) -> None:
        counted.append(classes.vote(code, 1, voter, OPTIONS[0]))

    threads = [threading.Thread(target=vote, args=(f"v{n % 10}",)) for n in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counted) == 10
    assert classes.count(code, classes.state(code).question) == 10


@pytest.mark.parametrize("phase", ["closed", "shown", "closed again", "revealed"])
def test_no_vote_counts_outside_of_a_vote(classes, asked, phase):
    code, key = asked
    for step in CYCLE[: CYCLE.index(phase) + 1]:
        classes.move(code, key, step)
    with pytest.raises(Refused, match="closed"):
        classes.vote(code, 1, "a", OPTIONS[0])
    assert classes.questions(code, key)[0][1] == []


@pytest.mark.parametrize(
    "vote",
    [
        (2, "a", OPTIONS[0], 0),  # not asked yet
        (1, "a", "none of these", 0),
        (1, "", OPTIONS[0], 0),
        (1, "a" * 65, OPTIONS[0], 0),
        (1, "a", OPTIONS[0], 4),
    ],
)
def test_no_other_vote_counts(classes, asked, vote):
    with pytest.raises(Refused):
        classes.vote(asked[0], *vote)


def test_only_the_key_leads_a_class(classes, asked):
    code, _ = asked
    other, key = classes.start()
    for attempt in (
        lambda: classes.ask(code, key, "relu", "Which?", OPTIONS),
        lambda: classes.move(code, key, "closed"),
        lambda: classes.settle(code, key, OPTIONS[:1], ""),
        lambda: classes.send(code, key, "steps?"),
    ):
        with pytest.raises(Refused, match="lecturer"):
            attempt()
    assert classes.questions(code, key) == [] == classes.votes(code, key, 1)
    assert classes.is_lecturer(other, key) and not classes.is_lecturer(code, key)
    assert classes.state(code).question.phase == "asked"
    assert classes.state(other).question is None


def test_phases_follow_each_other(classes, asked):
    code, key = asked
    for wrong in ("shown", "second", "closed again", "revealed", "asked"):
        with pytest.raises(Refused):
            classes.move(code, key, wrong)
    with pytest.raises(Refused, match="not revealed"):
        classes.settle(code, key, OPTIONS[:1], "")
    classes.move(code, key, "closed")
    classes.move(code, key, "revealed")  # without a second vote
    classes.send(code, key, "steps?show=relu")
    assert classes.state(code).here == "steps?show=relu"
    classes.ask(code, key, "relu", "Which?", OPTIONS)
    question = classes.state(code).question
    assert (question.number, question.lesson, question.phase) == (2, "relu", "asked")
    assert not classes.state(code).here  # the answer may be there


def test_a_class_ends_after_a_day_and_goes_with_the_next_one(classes, asked, clock, store):
    code, key = asked
    classes.vote(code, 1, "a", OPTIONS[0])
    clock.now += module.SECONDS - 1
    assert classes.join(f" {code.lower()} ") == code
    clock.now += 2
    assert classes.state(code) is None
    assert not classes.is_lecturer(code, key)
    for attempt in (
        lambda: classes.join(code),
        lambda: classes.vote(code, 1, "b", OPTIONS[0]),
        lambda: classes.ask(code, key, "relu", "Which?", OPTIONS),
    ):
        with pytest.raises(Refused):
            attempt()
    classes.start()
    with closing(sa.create_engine(f"sqlite:///{store.path}").connect()) as connection:
        for table in ("votes", "class_questions"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0


def test_an_address_has_so_many_wrong_codes_an_hour(classes, asked, clock):
    code, _ = asked
    for _ in range(module.WRONG_CODES):
        with pytest.raises(Refused, match="No class"):
            classes.join("AAAAA", "10.0.0.1")
    with pytest.raises(Refused, match="Too many"):
        classes.join(code, "10.0.0.1")
    assert classes.join(code, "10.0.0.2") == code
    clock.now += 3600
    assert classes.join(code, "10.0.0.1") == code


def test_limits_of_a_server_and_of_a_question(classes, asked, monkeypatch):
    monkeypatch.setattr(module, "MOST_CLASSES", 1)
    with pytest.raises(Refused, match="at most 1 classes"):
        classes.start()
    monkeypatch.setattr(module, "MOST_VOTES", 1)
    classes.vote(asked[0], 1, "a", OPTIONS[0])
    with pytest.raises(Refused, match="at most 1 votes"):
        classes.vote(asked[0], 1, "b", OPTIONS[0])


def test_trainings_of_a_class_are_listed_once_each_and_apart_from_others(
    classes, asked, monkeypatch
):
    code, _ = asked
    other, _ = classes.start()
    for run in ("b" * 32, "a" * 32, "b" * 32):
        classes.keep_run(code, run)
    assert classes.runs(code) == ["b" * 32, "a" * 32]
    assert classes.runs(other) == []
    monkeypatch.setattr(module, "MOST_RUNS", 2)
    classes.keep_run(code, "c" * 32)
    assert len(classes.runs(code)) == 2
    with pytest.raises(Refused, match="over"):
        classes.keep_run("ZZZZZ", "a" * 32)


def test_trainings_that_are_over_are_points(store):
    runs = [
        replace(make_run(), config=TrainConfig(normalization="none", learning_rate=0.1, seed=1)),
        replace(make_run(status="diverged"), config=TrainConfig(normalization="layer")),
        make_run(3, "stopped"),
    ]
    for run in runs:
        store.save(run)
    found = class_runs.points(map(store.summary, [*(run.key for run in runs), "0" * 32]))
    first = class_runs.Point("none", 0.1, 64, 1, 0.9375)
    lost = class_runs.Point("layer", 0.01, 64, 0, None)
    assert found == [first, lost]
    assert class_runs.best(found) == first
    assert class_runs.best([lost]) is None
    assert class_runs.as_csv(found).splitlines() == [
        "method,learning rate,batch size,seed,test accuracy",
        "none,0.1,64,1,0.9375",
        "layer,0.01,64,0,",
    ]


def test_seeds_that_two_methods_share_are_pairs(store):
    right = {"batch": {3: 0.92, 5: 0.9, 7: 0.94}, "none": {5: 0.88, 3: 0.91, 7: 0.91, 9: 0.5}}
    right["layer"] = {3: 0.9}
    runs = []
    for method, by_seed in right.items():
        for seed, accuracy in by_seed.items():
            config = TrainConfig(normalization=method, seed=seed)
            run = replace(make_run(), config=config, test_accuracy=accuracy)
            runs.append(run)
    other = replace(make_run(), config=TrainConfig(normalization="none", batch_size=8, seed=3))
    for run in [*runs, other]:
        store.save(run)
    summaries = [store.summary(run.key) for run in [*runs, other]]
    found = class_runs.pairs([*summaries, None])
    assert list(found.accuracies) == ["none", "batch"]
    assert list(found.accuracies["none"]) == [3, 5, 7] == list(found.accuracies["batch"])
    np.testing.assert_allclose(found.verdict.differences, [1, 2, 3])
    assert found.setting.batch_size == TrainConfig().batch_size
    assert class_runs.pairs(summaries[:1]) is None


def test_a_file_from_before_there_were_classes_takes_one(tmp_path):
    with closing(Store(tmp_path)) as store:
        engine = sa.create_engine(f"sqlite:///{store.path}")
        with engine.begin() as connection:
            for table in ("votes", "class_questions", "classes"):
                connection.exec_driver_sql(f"DROP TABLE {table}")
    with closing(Store(tmp_path)) as store:
        code, _ = Classes(store).start()
        assert Classes(store).state(code).code == code


def test_a_disk_that_refuses_is_said(tmp_path):
    (tmp_path / "home").write_text("no folder")
    with closing(Store(tmp_path / "home")) as store, pytest.raises(Refused, match="Classes are"):
        Classes(store).start()


_VOTE = """
import sys, time
from pages.lab.classes import Classes
from pages.lab.store import Store
from pages.lab.votes import Question, Vote, confidence, moves, share_right, survivors, tally
classes = Classes(Store(sys.argv[1]))
for number in range(600):  # of four processes, fewer than a question takes
    classes.vote(sys.argv[2], 1, f"{sys.argv[3]}-{number}", "Its column")
    print(f"{sys.argv[3]}-{number}", flush=True)
time.sleep(60)
"""


def test_kill_9_while_two_processes_take_votes_loses_none(tmp_path):
    with closing(Store(tmp_path)) as store:
        code, key = Classes(store).start()
        Classes(store).ask(code, key, "outlier", "Which?", OPTIONS)
    promised: list[str] = []
    for _ in range(2):
        both = [
            subprocess.Popen(
                [sys.executable, "-c", _VOTE, str(tmp_path), code, f"{len(promised)}-{one}"],
                **{"cwd": ROOT, "stdout": subprocess.PIPE, "text": True},
            )
            for one in range(2)
        ]
        for process in both:
            promised += [process.stdout.readline() for _ in range(5)]
        for process in both:
            process.send_signal(signal.SIGKILL)
            promised += process.communicate()[0].splitlines(keepends=True)
            assert process.returncode == -signal.SIGKILL
    with closing(Store(tmp_path)) as store:
        ((_, votes),) = Classes(store).questions(code, key)
        voters = [vote.voter for vote in votes]
    assert len(voters) == len(set(voters))
    assert {line.strip() for line in promised if line.endswith("\n")} <= set(voters)
