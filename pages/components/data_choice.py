"""Which data is in use and why, and a place to bring one's own."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from normlib.mnist import Dataset
from pages.components import server
from pages.lab.upload import UPLOAD_LIMIT, read_upload


def when_loaded(draw: Callable[[], None], until_then: str) -> None:
    """Draw something about the data; while they load, a line that gives way to it."""

    @st.fragment(run_every=0.5)
    def wait() -> None:
        if server.data_is_here():
            st.rerun()
        st.caption(until_then)

    if server.data_is_here():
        draw()
    else:
        wait()


def show() -> None:
    """The data of this session, the sources tried, and the upload."""
    st.header("The data", anchor=False)
    when_loaded(_details, "Looking for MNIST. The lab asks the network for at most 20 seconds.")


def show_briefly() -> None:
    """The data of this session in two lines, for the side bar."""
    when_loaded(_brief, "Looking for MNIST…")


def _brief() -> None:
    dataset = server.data()
    real = dataset.name == "MNIST"
    count = len(dataset.train_images)
    st.badge(dataset.name, icon=":material/database:", color="green" if real else "orange")
    st.caption(f"{count:,} training images." + ("" if real else " This is not MNIST."))


def _details() -> None:
    dataset = server.data()
    st.markdown(_about(dataset))
    if dataset.notes:
        with st.expander("Sources tried", icon=":material/rule:"):
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
        name = dataset.name if dataset.name == "MNIST" else "Uploaded data"
        return f"**{name}**: your file, for this visit only. {counts}"
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
        on_change=_read_file,
        args=(key,),
    )
    fault = st.session_state.get("_upload_fault")
    if fault:
        st.warning(fault, icon=":material/error:")
    if "_dataset" in st.session_state:
        st.button("Back to the server's data", on_click=server.use_data, args=(None,))


def _read_file(key: str) -> None:
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
