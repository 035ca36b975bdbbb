"""The very function that ran, next to its formula."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache

import streamlit as st


def show_source(
    *functions: Callable,
    formula: str = "",
    label: str = "The code that ran",
    key: str | None = None,
) -> None:
    """Draw a formula (LaTeX) and, folded away, the source of the functions that computed it.

    A function that `tf.function` or a cache wraps is shown as it was written. It is drawn once the
    reader unfolds it: ten elements fewer in every run.
    """
    if formula:
        st.latex(formula)
    key = key or f"code_of_{functions[0].__name__}"
    code = st.expander(label, icon=":material/code:", key=key, on_change="rerun")
    if not code.open:
        return
    with code:
        for function in functions:
            name, text = _written(function)
            st.caption(f"`{name}`")
            st.code(text, language="python")


@lru_cache(maxsize=256)
def _written(function: Callable) -> tuple[str, str]:
    """Its full name and its source; looking that up takes a millisecond, in every rerun."""
    written = inspect.unwrap(getattr(function, "python_function", function))
    return f"{written.__module__}.{written.__qualname__}", inspect.getsource(written)
