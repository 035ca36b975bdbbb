"""Two plans for a class: what is shown when, what to do there, and what students bring along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A part of a plan.

    lessons: those of `lesson_list` that it asks. pages: where it happens, without a lesson.
    do: what the lecturer does. expect: wrong answers that students bring, and what to say.
    offline: what to do where students cannot reach the lab; hands go up otherwise.
    """

    minutes: int
    title: str
    do: str
    lessons: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    expect: str = ""
    offline: str = "Hands up, option by option."


_FIRST = (
    Step(
        *(4, "Which numbers share a mean?"),
        "Show the four blocks. Let the class say in which one an image is normalized by itself.",
        pages=("home",),
        expect="“Batch norm normalizes each image”; “layer norm normalizes each channel.”",
        offline="The blocks can be drawn on a board.",
    ),
    Step(
        *(7, "One outlier"),
        "Ask, reveal, then take layer norm and let the class predict again, aloud.",
        lessons=("outlier",),
        expect="“Its row”: batch norm mistaken for a mean of each example.",
        offline="The table fits on a board: four rows, three columns.",
    ),
    Step(
        *(7, "ReLU, gamma and beta"),
        "Ask the first, move beta; ask the second, then look at the next batch.",
        lessons=("relu", "undo"),
        expect="“After ReLU the mean is not 0, so it was for nothing”; “gamma and beta undo it, so "
        "why normalize?”",
    ),
    Step(
        *(8, "A batch of one, and of two"),
        "Ask, reveal, move the batch size to 2 and ask aloud what is left now.",
        lessons=("one",),
        expect="“Its shape is left”: the mean of a single digit is that digit.",
    ),
    Step(
        *(8, "Test time, and batch-mates"),
        "Ask the first, find the size at which nothing is lost; ask the second, take only 1s.",
        lessons=("inference", "mates"),
        expect="“The network is trained, so an image gives one answer, whatever stands beside it.”",
    ),
    Step(
        *(8, "A hundred times faster"),
        "Ask, reveal, find the survivors. Then start at 0.001, and normalize the convolution only.",
        lessons=("rate",),
        expect="“A normalized network survives any rate, wherever it is normalized.”",
        offline="The trainings run on the lecturer's machine all the same.",
    ),
    Step(
        *(3, "Exit poll"),
        "Ask the question with the most wrong votes again; the list on this page has it.",
        pages=("teach",),
        offline="One question on paper, collected at the door.",
    ),
)
_MORE = (
    Step(
        *(15, "The backward pass"),
        "Ask the first and take layer norm. Ask the second, find the row that fails.",
        lessons=("terms", "check"),
        expect="“A gradient reaches only the number that is asked to change”; “dγ and dβ are "
        "right, so all is.”",
    ),
    Step(
        *(15, "Write your own batch norm"),
        "All write the first exercise; who is done helps a neighbour or takes the next one.",
        pages=("write",),
        expect="Epsilon outside the root, the variance of m − 1, the wrong axes: each gets a name.",
        offline="python -m normlib check, on each laptop that has the package.",
    ),
    Step(
        *(10, "Depth, and why it works"),
        "Ask the first and move the start scale. Ask the second, then look at the other two "
        "explanations.",
        lessons=("depth", "shift"),
        pages=("depth", "why"),
        expect="“It works because it removes covariate shift.”",
    ),
    Step(
        *(5, "An audit: why weight norm lost"),
        "Ask, then look at the thirty filters.",
        lessons=("filters",),
        expect="“The table says so, so the method is worse.”",
    ),
)
PLANS: Mapping[str, tuple[Step, ...]] = {"45": _FIRST, "90": _FIRST + _MORE}
