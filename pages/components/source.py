"""The very function that ran, next to its formula."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import streamlit as st


def show_source(
    *functions: Callable,
    formula: str = "",
    label: str = "The code that ran",
    key: str | None = None,
) -> None:
    """Draw a formula (LaTeX) and, folded away, the source of the functions that computed it.

    A function that `tf.function` or a cache wraps is shown as it was written.
    """
    if formula:
        st.latex(formula)
    with st.expander(label, icon=":material/code:", key=key):
        for function in functions:
            written = getattr(function, "python_function", function)
            written = inspect.unwrap(written)
            st.caption(f"`{written.__module__}.{written.__qualname__}`")
            st.code(inspect.getsource(written), language="python")
