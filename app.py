"""The home page: the idea and the ten lessons in one screen, then the data.

It needs neither TensorFlow nor pandas nor a chart, so it is on screen at once.
"""

import base64
from html import escape
from pathlib import Path

import streamlit as st

from pages.components import data_choice, lesson_list, page, turns
from pages.components.navigation import PAGES, ROOT
from pages.lab import words

PICTURES = Path(__file__).parent / "pages" / "components" / "pictures"
SHARED_FORMULA = (
    r"\hat{x} = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} \qquad z = \gamma \hat{x} + \beta"
)
# Method -> what tells it apart from the others: its formula, what it averages, its picture.
METHODS = {
    "none": (
        r"z = x",
        "Nothing is averaged: every number stays as it is.",
        "A block of images, channels and positions; nothing is highlighted.",
    ),
    "batch": (
        r"\mu_c = \frac{1}{NHW} \sum_{n,h,w} x_{nhwc}",
        "One mean per channel, over images and positions.",
        "In a block of images, channels and positions the slice of one channel is highlighted.",
    ),
    "layer": (
        r"\mu_n = \frac{1}{HWC} \sum_{h,w,c} x_{nhwc}",
        "One mean per image, over channels and positions.",
        "In a block of images, channels and positions the slice of one image is highlighted.",
    ),
    "weight": (
        r"w_c = g_c \frac{v_c}{\lVert v_c \rVert}",
        "No activation is averaged: each filter gets a length g.",
        "Four filters of 5 by 5 weights; one of them is highlighted.",
    ),
}
STYLE = """<style>
.st-key-methods h2 { padding: 0; }
.st-key-methods .katex-display {
  display: flex; align-items: center; justify-content: center;
  margin: 0; min-height: 3.1rem;
}
.st-key-methods .katex-display > .katex { font-size: 1.1em; }
.st-key-methods img { display: block; width: 100%; max-width: 9.8rem; margin: 0 auto; }
.st-key-lessons a { padding-top: 0; padding-bottom: 0; }
@media (max-width: 640px) {
  .st-key-methods [data-testid="stColumn"] { min-width: calc(50% - 1rem); }
  .st-key-methods .katex-display > .katex { font-size: .9em; }
}
</style>"""


def show_idea() -> None:
    st.html(STYLE)
    text, formula, start = st.columns([2.2, 1.5, 0.6], vertical_alignment="center")
    text.markdown(
        "Normalizing gives the numbers inside a network mean 0 and standard deviation 1. The "
        "methods differ in **which numbers share a mean**; weight norm normalizes the kernel."
    )
    formula.latex(SHARED_FORMULA)
    first = lesson_list.LESSONS[0].place
    if start.button("Start", icon=":material/play_arrow:", type="primary", width="stretch"):
        first.go()
    with st.container(key="methods"):
        for column, method in zip(st.columns(len(METHODS)), METHODS, strict=True):
            with column, st.container(gap="small"):
                show_method(method, *METHODS[method])
    st.caption(
        "Each block is one batch after the convolution: N images, C channels, H·W positions. "
        "What is highlighted shares one μ and σ, or one g."
    )


def show_method(method: str, formula: str, averages: str, picture: str) -> None:
    st.markdown(f"## {words.title(method)}", text_alignment="center")
    # An image element: `st.image` would load an imaging library first.
    drawing = base64.b64encode((PICTURES / f"{method}.svg").read_bytes()).decode()
    text = escape(f"{words.title(method)}. {picture} {averages}", quote=True)
    st.html(f'<img src="data:image/svg+xml;base64,{drawing}" alt="{text}">')
    st.latex(formula)
    st.markdown(averages, text_alignment="center")


with turns.take():
    if code := st.query_params.get("class"):  # the short link that a class is given
        st.switch_page(ROOT / PAGES["teach"].file, query_params={"class": code})
    page.set_up("home")
    show_idea()
    lesson_list.show()
    data_choice.show()
