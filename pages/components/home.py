"""The parts of the home page, in their order: the idea, the lessons, the pages, the data.

None of them needs TensorFlow, pandas or a chart, so the page is on screen at once.
"""

from __future__ import annotations

import base64
from html import escape

import streamlit as st

from normlib.mnist import UPLOAD_LIMIT, Dataset, read_upload
from pages.components import page, pictures, server, theme
from pages.components.lesson_list import LESSONS, Lesson

METHODS = ("none", "batch", "layer", "weight")
# What tells the methods apart; everything else is the formula that they share.
FORMULAS = {
    "none": r"z = x",
    "batch": r"\mu_c = \frac{1}{NHW} \sum_{n,h,w} x_{nhwc}",
    "layer": r"\mu_n = \frac{1}{HWC} \sum_{h,w,c} x_{nhwc}",
    "weight": r"w_c = g_c \frac{v_c}{\lVert v_c \rVert}",
}
SHARED_FORMULA = (
    r"\hat{x} = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} \qquad z = \gamma \hat{x} + \beta"
)
LOOK_AGAIN = 0.5  # seconds between two looks whether the data are there
_STYLE = """<style>
.st-key-methods h4 { padding: 0 0 .5rem; }
.st-key-methods .katex-display {
  display: flex; align-items: center; justify-content: center;
  margin: 0 0 .3rem; min-height: 3.5rem;
}
.st-key-methods .katex-display > .katex { font-size: 1.1em; }
.st-key-methods img { display: block; width: 100%; max-width: 16rem; margin: 0 auto; }
[class*="st-key-lesson_"] [data-testid="stPageLink"] a {
  border: 1px solid #7A8594; padding: .4rem 1rem;
}
.st-key-pages [data-testid="stCaptionContainer"] { padding-left: 2.1rem; }
@media (max-width: 640px) {
  .st-key-methods [data-testid="stColumn"] { min-width: calc(50% - 1rem); }
  .st-key-methods .katex-display > .katex { font-size: .9em; }
}
</style>"""


# ---- the idea --------------------------------------------------------------------------------


def idea() -> None:
    """What the four methods do: the formula they share, and what each averages."""
    st.html(_STYLE)
    words, formula = st.columns([1.15, 1], vertical_alignment="center", gap="medium")
    words.markdown(
        "Normalizing gives the numbers inside a network mean 0 and spread 1; γ and β can change "
        "both again. The methods differ in one thing: **which numbers share a mean.**"
    )
    formula.latex(SHARED_FORMULA)
    colors = theme.ink_and_paper()
    with st.container(key="methods"):
        for column, method in zip(st.columns(len(METHODS)), METHODS, strict=True):
            with column, st.container(gap="xsmall"):
                st.markdown(f"#### {theme.title(method)}", text_alignment="center")
                st.html(_picture(method, colors))
                st.latex(FORMULAS[method])
                st.markdown(pictures.SHARED[method], text_alignment="center")
    st.caption(
        "A block is one batch behind the convolution: N images, C channels, H·W positions. "
        "What is lit shares one μ and σ, or one g."
    )


def _picture(method: str, colors: tuple[str, str]) -> str:
    """An image element: `st.image` would load an imaging library first."""
    drawn = base64.b64encode(pictures.averaged(method, *colors).encode()).decode()
    words = escape(pictures.in_words(method), quote=True)
    return f'<img src="data:image/svg+xml;base64,{drawn}" alt="{words}">'


# ---- the lessons -----------------------------------------------------------------------------


def lessons() -> None:
    """The lessons, folded: those to begin with on the left, the others on the right."""
    st.header("Six lessons", anchor=False)
    parts = {
        "A good start": [lesson for lesson in LESSONS if lesson.start],
        "Then": [lesson for lesson in LESSONS if not lesson.start],
    }
    for column, (title, those) in zip(st.columns(2, gap="medium"), parts.items(), strict=True):
        with column:
            st.markdown(f"**{title}** · {sum(lesson.minutes for lesson in those)} minutes")
            for lesson in those:
                _lesson(lesson)


def _lesson(lesson: Lesson) -> None:
    number = LESSONS.index(lesson) + 1
    icon = ":material/star:" if lesson.start else ":material/school:"
    label = f"{number}. {lesson.title} · {lesson.minutes} min"
    begun = bool(_predictions().get(lesson.name))
    # Drawn when it is opened: six lessons at once would keep the page from the screen for half a
    # second.
    unfolded = st.expander(
        label, icon=icon, key=f"lesson_{lesson.name}", expanded=begun, on_change="rerun"
    )
    if not unfolded.open:
        return
    with unfolded:
        st.markdown(f"**{lesson.question}**")
        _prediction(lesson)
        st.markdown(lesson.task)
        page.link(lesson.page, label=f"Open {page.PAGES[lesson.page].title}", state=lesson.state)
        with st.expander("Answer", icon=":material/key:", key=f"answer_{lesson.name}"):
            st.markdown(lesson.answer())


def _prediction(lesson: Lesson) -> None:
    """A box to write in; what is written is still there when the reader comes back."""
    kept = _predictions()
    kept[lesson.name] = st.text_input(
        "Your prediction",
        kept.get(lesson.name, ""),
        key=f"_prediction_{lesson.name}",
        max_chars=300,
        placeholder="Write it down before you look",
    )


def _predictions() -> dict[str, str]:
    return st.session_state.setdefault("_predictions", {})


# ---- the pages -------------------------------------------------------------------------------


def pages() -> None:
    """A link to every page, with one line each."""
    st.header("The pages", anchor=False)
    groups: dict[str, list[page.Page]] = {}
    for one in page.PAGES.values():
        if one.group and (page.ROOT / one.file).exists():
            groups.setdefault(one.group, []).append(one)
    with st.container(key="pages"):
        for column, (group, those) in zip(st.columns(len(groups)), groups.items(), strict=True):
            with column:
                st.markdown(f"**{group}**")
                for one in those:
                    with st.container(gap=None):
                        page.link(one.name)
                        st.caption(one.about)


# ---- the data --------------------------------------------------------------------------------


def data() -> None:
    """Which data is in use and why, and a place to bring one's own."""
    st.header("The data", anchor=False)
    (_data_now if server.data_is_here() else _data_soon)()


@st.fragment(run_every=LOOK_AGAIN)
def _data_soon() -> None:
    if server.data_is_here():
        st.rerun()
    st.caption("Looking for MNIST. The lab asks the network for at most 20 seconds.")


def _data_now() -> None:
    dataset = server.data()
    st.markdown(_about(dataset))
    if dataset.notes:
        with st.expander("What was passed over, and why", icon=":material/rule:"):
            for note in dataset.notes:
                st.text(note)
    own = "_dataset" in st.session_state
    with st.expander("Bring your own mnist.npz", icon=":material/upload_file:", expanded=own):
        _upload()


def _about(dataset: Dataset) -> str:
    train, validation, test = (
        f"{len(labels):,}"
        for labels in (dataset.train_labels, dataset.validation_labels, dataset.test_labels)
    )
    counts = f"{train} images to train on, {validation} for validation, {test} for the test."
    if dataset.source == "uploaded":
        what = "your file, for this visit only."
        name = dataset.name if dataset.name == "MNIST" else "Uploaded data"
        return f"**{name}**: {what} {counts}"
    if dataset.name == "MNIST":
        return f"**MNIST**, checked to the last byte. {counts}"
    return (
        "**Drawn digits**, because MNIST could not be had: they are drawn by the lab, and results "
        f"differ from MNIST's. {counts}"
    )


def _upload() -> None:
    st.markdown(
        f"For a room without a network. Keras's layout, at most {UPLOAD_LIMIT // 2**20} MB. "
        "Every page then uses it, in this browser tab, until the tab is closed or reloaded."
    )
    uploads = st.session_state.setdefault("_uploads", 0)
    key = f"_upload_{uploads}"  # a new key lets go of the file that was read
    st.file_uploader(
        "An .npz file",
        type="npz",
        key=key,
        max_upload_size=UPLOAD_LIMIT // 2**20,
        on_change=_take,
        args=(key,),
    )
    fault = st.session_state.get("_upload_fault")
    if fault:
        st.warning(fault, icon=":material/error:")
    if "_dataset" in st.session_state:
        st.button("Back to the server's data", on_click=server.use_data, args=(None,))


def _take(key: str) -> None:
    """Read what was uploaded, before the page is drawn: its side bar names the data too."""
    file = st.session_state.get(key)
    if file is None:
        return
    st.session_state["_uploads"] += 1
    st.session_state["_upload_fault"] = ""
    try:
        server.use_data(read_upload(file.getvalue()))
    except ValueError as error:
        st.session_state["_upload_fault"] = str(error)
