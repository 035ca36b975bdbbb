"""Runs and charts as files; charts as SVG, because Streamlit's own menu offers PNG only."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from normlib.run import Run
from pages.components import trainings

_SVG_BUTTONS = st.components.v2.component(
    "normlab_save_svg",
    html="<div id='buttons'></div>",
    css="""
#buttons { display: flex; flex-wrap: wrap; gap: 1rem; }
button { /* as Streamlit's own */
  display: inline-flex; align-items: center; gap: 0.5rem; min-height: 2.5rem;
  font: inherit; font-size: 0.875rem; line-height: 1.6;
  color: inherit; background: transparent; cursor: pointer;
  padding: 0.25rem 0.75rem; border: 1px solid var(--st-widget-border-color, currentColor);
  border-radius: var(--st-button-radius, 8px);
}
.icon { font-family: "Material Symbols Rounded"; font-size: 1rem; }
button:hover, button:focus-visible {
  color: var(--st-primary-color); border-color: var(--st-primary-color); outline: none;
}
""",
    js="""
export default function ({ data, parentElement }) {
  const buttons = Object.entries(data.charts).map(([key, label]) => {
    const button = document.createElement("button")
    const icon = document.createElement("span")
    icon.className = "icon"
    icon.ariaHidden = "true"
    icon.textContent = "download"
    button.append(icon, label)
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


_TYPES = {
    "csv": "text/csv",
    "json": "application/json",
    "py": "text/x-python",
    "npz": "application/octet-stream",
}


def file(label: str, name: str, content: Callable[[], str | bytes], about: str = "") -> None:
    """A button for one file, whose content is made when it is pressed."""
    st.download_button(
        label,
        content,
        name,
        _TYPES[name.rpartition(".")[2]],
        help=about or None,
        on_click="ignore",
        icon=":material/download:",
    )


def run_files(run: Run, key: str) -> None:
    """The run as files: history, settings, everything, and a script that repeats it."""
    from pages.lab import export, script

    data = trainings.data_of(run)
    repeats = script.file_name(run.config)
    stem = repeats.removesuffix(".py")
    with st.container(horizontal=True, key=f"{key}_downloads"):
        file(
            "History (CSV)",
            f"{stem}_history.csv",
            lambda: export.history_csv(run),
            "One line per step; epoch results in the line of the epoch's end.",
        )
        file(
            "Settings (JSON)",
            f"{stem}_settings.json",
            lambda: export.config_json(run.config),
            "Every setting of this training.",
        )
        file(
            "Whole run (JSON)",
            f"{stem}_run.json",
            lambda: export.run_json(run),
            "Settings, every loss, and all that was recorded.",
        )
        if data is None:
            return
        file(
            "Script (Python)",
            repeats,
            lambda: script.write(run.config, data, run),
            "Plain TensorFlow that repeats this run without the lab.",
        )
        if data.name != "MNIST":
            about = "The images that the script needs."
            file("Data (NPZ)", "data.npz", lambda: export.data_npz(data), about)


def curve_files(stem: str, key: str, loss: str = "loss", accuracy: str = "accuracy") -> None:
    """The two curves that `charts.show` drew with these keys, as vector graphics.

    stem: how the files' names begin.
    """
    charts = {loss: "Loss (SVG)", accuracy: "Accuracy (SVG)"}
    _SVG_BUTTONS(data={"charts": charts, "stem": stem}, key=f"{key}_svg")
    st.caption("As PNG: point at a chart, and press the arrow at its upper right corner.")
