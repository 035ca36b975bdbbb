"""What one server process has once: TensorFlow, the data, the queue of experiments.

The first page of the process starts the warm-up in the background, so that a page which needs no
TensorFlow is on screen at once; a page that does waits with `wait_for_tensorflow`.
"""

from __future__ import annotations

import gc
import importlib
import pkgutil
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import streamlit as st

import normlib
from normlib.mnist import Dataset, load_mnist
from normlib.threads import give_way
from pages import lab
from pages.components import turns

if TYPE_CHECKING:
    from pages.lab.queue import Experiments


def freeze_after_imports() -> None:
    """Take everything imported so far out of the garbage collector's sight.

    A full collection takes half a second with TensorFlow's objects in sight, and milliseconds
    without them.
    """
    gc.collect()
    gc.freeze()


def leave_keras_alone() -> None:
    """Keep Streamlit from emptying Keras after every run.

    The lab keeps nothing in Keras, and its `clear_session` collects garbage each time: a quarter
    of what a moved slider costs. Python collects by itself, when there is something to collect.
    """
    keras = importlib.import_module("keras")
    keras.backend.clear_session = lambda *_, **__: None


def send_at_once() -> None:
    """Let every message leave when it is written, and not 40 ms later.

    Streamlit opens its port in a way that leaves the kernel waiting, after a small message, for
    the browser's receipt. What is set on the port holds for all connections made to it.
    """
    for one in gc.get_objects():
        if type(one) is socket.socket and one.family in (socket.AF_INET, socket.AF_INET6):
            with suppress(OSError):  # closed meanwhile, or not TCP
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


# Seconds that a first page which needs neither gets to itself before they take the processor.
DATA_AFTER, TENSORFLOW_AFTER = 1.0, 2.0


class WarmUp:
    """Loads the data and TensorFlow, each in a daemon thread of its own."""

    def __init__(self) -> None:
        self.dataset: Dataset | None = None
        self.error: BaseException | None = None
        self._wanted, self._data_wanted = threading.Event(), threading.Event()
        self._data = threading.Thread(target=self._load_data, name="data", daemon=True)
        self._imports = threading.Thread(target=self._import, name="tensorflow", daemon=True)
        self._data.start()
        self._imports.start()

    def _load_data(self) -> None:
        self._data_wanted.wait(DATA_AFTER)
        give_way()
        try:
            self.dataset = load_mnist()
        except BaseException as error:
            self.error = error  # raised again by wait, where somebody sees it
            raise

    def _import(self) -> None:
        self._wanted.wait(TENSORFLOW_AFTER)
        # TensorFlow's threads, which do the work of trainings, take their priority from this one.
        give_way()
        try:
            # On Apple silicon TensorFlow must come before pandas and pyarrow, or it hangs.
            tensorflow = importlib.import_module("tensorflow")
            for package in (normlib, lab):
                for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
                    if not module.name.endswith("__main__"):
                        importlib.import_module(module.name)
            for name in ("pandas", "pyarrow", "altair"):
                importlib.import_module(name)
            tensorflow.config.list_logical_devices()  # starts the threads
        except BaseException as error:
            self.error = error
            raise
        self._data.join()
        leave_keras_alone()
        freeze_after_imports()

    def data_is_here(self) -> bool:
        return self.dataset is not None

    def tensorflow_is_here(self) -> bool:
        return not self._imports.is_alive() and self.error is None

    def wait(self, for_tensorflow: bool) -> None:
        self._data_wanted.set()
        if for_tensorflow:
            self._wanted.set()
        (self._imports if for_tensorflow else self._data).join()
        if self.error is not None:
            raise RuntimeError(f"The lab could not start: {self.error}") from self.error


_lock = threading.Lock()
_warm_up: WarmUp | None = None
_experiments: Experiments | None = None
_uploads: WeakValueDictionary[str, Dataset] = WeakValueDictionary()


def warm_up() -> WarmUp:
    """Start loading, once per process; returns at once."""
    global _warm_up
    with _lock:
        if _warm_up is None:
            send_at_once()
            _warm_up = WarmUp()
        return _warm_up


def wait_for_tensorflow() -> None:
    """Return when TensorFlow, normlib and the data are loaded; a spinner says so until then.

    Every page that computes calls it once, before it imports pandas or any normlib module that
    needs TensorFlow.
    """
    loading = warm_up()
    if not loading.tensorflow_is_here():
        words = "Loading TensorFlow. This takes a few seconds, once per server."
        with st.spinner(words), turns.let_others():
            loading.wait(for_tensorflow=True)


def data() -> Dataset:
    """The data of this session: what its user uploaded, or else what the server found."""
    if "_dataset" in st.session_state:
        return st.session_state["_dataset"]
    loading = warm_up()
    if not loading.data_is_here():
        with st.spinner("Looking for MNIST."), turns.let_others():
            loading.wait(for_tensorflow=False)
    assert loading.dataset is not None
    return loading.dataset


def data_with(checksum: str) -> Dataset:
    """The data with this checksum: the server's, or what a session has uploaded and uses.

    KeyError where that session has gone.
    """
    loaded = warm_up().dataset
    return loaded if loaded is not None and loaded.checksum == checksum else _uploads[checksum]


def has_data_with(checksum: str) -> bool:
    """Whether `data_with` would find them."""
    loaded = warm_up().dataset
    return checksum in _uploads or (loaded is not None and loaded.checksum == checksum)


def data_is_here() -> bool:
    """Whether `data` would answer at once."""
    return "_dataset" in st.session_state or warm_up().data_is_here()


def use_data(dataset: Dataset | None) -> None:
    """Let this session use its own data; None goes back to the server's.

    A class that uploads one file thirty times has it in memory once.
    """
    if dataset is None:
        st.session_state.pop("_dataset", None)
    else:
        with _lock:
            st.session_state["_dataset"] = _uploads.setdefault(dataset.checksum, dataset)


def data_words() -> str:
    """How a caption names the data: `MNIST`, or `drawn digits (not MNIST)`."""
    name = data().name
    return name if name == "MNIST" else f"{name} (not MNIST)"


def experiments() -> Experiments:
    """The one queue of trainings of this process, on the server's data; it keeps its runs."""
    global _experiments
    wait_for_tensorflow()
    from pages.lab.queue import Experiments
    from pages.lab.store import Store

    dataset = warm_up().dataset
    assert dataset is not None
    with _lock:
        if _experiments is None:
            _experiments = Experiments(dataset, Store())
        return _experiments
