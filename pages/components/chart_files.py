"""A chart on the page as an SVG file: Streamlit's own menu offers PNG only."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

_BUTTONS = st.components.v2.component(
    "normlab_save_svg",
    html="<div id='buttons'></div>",
    css="""
#buttons { display: flex; flex-wrap: wrap; gap: 0.75rem; }
button {
  font: inherit; color: inherit; background: transparent; cursor: pointer;
  padding: 0.45rem 0.9rem; border: 1px solid var(--st-widget-border-color, currentColor);
  border-radius: var(--st-button-radius, 8px);
}
button:hover, button:focus-visible {
  color: var(--st-primary-color); border-color: var(--st-primary-color); outline: none;
}
""",
    js="""
export default function ({ data, parentElement }) {
  const buttons = Object.entries(data.charts).map(([key, label]) => {
    const button = document.createElement("button")
    button.textContent = label
    button.onclick = () => {
      const drawn = document.querySelector(`.st-key-${key} svg.marks`)
      if (!drawn) { // with thousands of points Streamlit paints instead of drawing
        button.textContent = label + ": too many points"
        button.disabled = true
        return
      }
      // What the page hands down to the drawing, the file has to carry itself.
      const { color, fontFamily } = getComputedStyle(drawn)
      const copy = drawn.cloneNode(true)
      copy.setAttribute("xmlns", "http://www.w3.org/2000/svg")
      copy.style.color = color
      copy.style.fontFamily = fontFamily
      const app = document.querySelector("[data-testid=stApp]")
      copy.style.background = getComputedStyle(app).backgroundColor
      const text = new XMLSerializer().serializeToString(copy)
      const link = document.createElement("a")
      link.href = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }))
      link.download = data.stem + "_" + key + ".svg"
      link.click()
      URL.revokeObjectURL(link.href)
    }
    return button
  })
  parentElement.querySelector("#buttons").replaceChildren(...buttons)
}
""",
)


def save_buttons(charts: Mapping[str, str], stem: str, key: str) -> None:
    """Draw a button for each chart that saves it as a vector graphic.

    charts: the key with which `charts.show` drew it -> the button's label.
    stem: how the files' names begin.
    """
    _BUTTONS(data={"charts": dict(charts), "stem": stem}, key=key)
