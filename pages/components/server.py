"""What one server process has once: TensorFlow, the data, the queue of experiments.

The first page of the process starts the warm-up in the background, so that a page which needs no
TensorFlow is on screen at once; a page that does waits with `wait_for_tensorflow`.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import logging
import pkgutil
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import streamlit as st
from streamlit import net_util, runtime

import normlib
from normlib.mnist import Dataset, load_mnist
from pages import lab
from pages.components import turns
from pages.lab.processes import give_way

if TYPE_CHECKING:
    from pages.lab.classes import Classes
    from pages.lab.queue import Experiments
    from pages.lab.store import Store

# For a page of another origin that calls, Streamlit would ask the internet for its own address, on
# the event loop: for seconds nobody gets an answer.
net_util.get_external_ip = lambda: None

# Seconds that a first page which needs neither gets to itself before they take the processor.
DATA_AFTER, TENSORFLOW_AFTER = 1.0, 2.0
UPLOAD_BYTES = 512 * 2**20  # of the uploads of all sessions: three of the largest

_log = logging.getLogger(__name__)


class _Background(threading.Thread):
    """Slow work, done once: after some seconds, or as soon as somebody waits for it."""

    def __init__(self, work: Callable[[], None], after: float) -> None:
        super().__init__(daemon=True)
        self.error: BaseException | None = None
        self._work, self._after, self._wanted = work, after, threading.Event()
        self.start()

    def run(self) -> None:
        self._wanted.wait(self._after)
        # TensorFlow's threads, which do the work of trainings, take their priority from this one.
        give_way()
        try:
            self._work()
        except BaseException as error:
            self.error = error  # raised again by wait, where somebody sees it
            raise

    def wait(self) -> None:
        self._wanted.set()
        self.join()
        if self.error is not None:
            raise RuntimeError(f"The lab could not start: {self.error}") from self.error


class WarmUp:
    """Loads the data and TensorFlow."""

    def __init__(self) -> None:
        self.dataset: Dataset | None = None
        self._data = _Background(self._load_data, DATA_AFTER)
        self._imports = _Background(self._import, TENSORFLOW_AFTER)

    def _load_data(self) -> None:
        self.dataset = load_mnist()

    def _import(self) -> None:
        # On Apple silicon TensorFlow must come before pandas and pyarrow, or it hangs
        # (streamlit#8974, keras#23083).
        tensorflow = importlib.import_module("tensorflow")
        for package in (normlib, lab):
            for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
                if not module.name.endswith("__main__"):
                    importlib.import_module(module.name)
        importlib.import_module("altair")
        tensorflow.config.list_logical_devices()  # starts the threads
        self._data.wait()
        # After every run Streamlit calls this, and it collects garbage: 0.7 s with TensorFlow's
        # objects in sight, 50 ms with the 200,000 of a lesson. The lab keeps nothing in Keras.
        importlib.import_module("keras").backend.clear_session = lambda *_, **__: None
        # Python's own collections then pass TensorFlow's objects over: nothing instead of 0.7 s.
        gc.collect()
        gc.freeze()

    def data_is_here(self) -> bool:
        return not self._data.is_alive()

    def tensorflow_is_here(self) -> bool:
        return not self._imports.is_alive() and self._imports.error is None

    def wait(self, for_tensorflow: bool) -> None:
        (self._imports if for_tensorflow else self._data).wait()


_lock = threading.RLock()
_warm_up: WarmUp | None = None
_store: Store | None = None
_experiments: Experiments | None = None
_classes: Classes | None = None
_uploads: WeakValueDictionary[str, Dataset] = WeakValueDictionary()


def warm_up() -> WarmUp:
    """Start loading, once per process; returns at once."""
    global _warm_up
    with _lock:
        if _warm_up is None:
            _warm_up = WarmUp()
        return _warm_up


def wait_for_tensorflow() -> None:
    """Return when TensorFlow, normlib and the data are loaded; a spinner says so until then.

    Every page that computes calls it before it imports pandas or what needs TensorFlow.
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
    """The server's data or what a session uploaded and uses; KeyError where that one has gone."""
    loaded = warm_up().dataset
    return loaded if loaded is not None and loaded.checksum == checksum else _uploads[checksum]


def data_is_here() -> bool:
    """Whether `data` would answer at once."""
    return "_dataset" in st.session_state or warm_up().data_is_here()


def use_data(dataset: Dataset | None) -> None:
    """Let this session use its own data; None goes back to the server's.

    A class that uploads one file thirty times has it in memory once. ValueError, with a sentence,
    where the uploads of all would take more than UPLOAD_BYTES.
    """
    if dataset is None:
        st.session_state.pop("_dataset", None)
    else:
        with _lock:
            new = dataset.checksum not in _uploads
            if new and upload_bytes() + _bytes_of(dataset) > UPLOAD_BYTES:
                raise ValueError(
                    "Others have uploaded so much that this server has no room for one more file. "
                    "It has once they close their tabs."
                )
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

    dataset = warm_up().dataset
    assert dataset is not None
    with _lock:
        if _experiments is None:
            _experiments = Experiments(dataset, store())
            atexit.register(_experiments.close)  # a server that is told to end keeps what it has
            threading.Thread(target=_tell, args=(_experiments,), daemon=True).start()
        return _experiments


def queue_so_far() -> Experiments | None:
    """The queue, if anybody has needed it yet; waits for nothing."""
    return _experiments


def _tell(queue: Experiments) -> None:
    """Write down now and then what the server is doing: `python -m pages.lab status` reads it."""
    from pages.lab import status

    give_way()
    while queue is _experiments and queue.store is not None:
        manager = runtime.get_instance()._session_mgr if runtime.exists() else None
        sessions = manager.num_active_sessions() if manager else 0
        try:
            status.write(queue.store.home, status.of(queue, sessions, upload_bytes()))
        except OSError as error:
            _log.warning("The status could not be written: %r", error)
        time.sleep(status.EVERY_SECONDS)


def upload_bytes() -> int:
    """What the uploads of all sessions take."""
    return sum(_bytes_of(dataset) for dataset in list(_uploads.values()))


def _bytes_of(dataset: Dataset) -> int:
    return sum(value.nbytes for value in vars(dataset).values() if hasattr(value, "nbytes"))


def classes() -> Classes:
    """The classes of this server; they need no TensorFlow."""
    global _classes
    from pages.lab.classes import Classes

    with _lock:
        if _classes is None:
            _classes = Classes(store())
        return _classes


def store() -> Store:
    """The one file of this process."""
    global _store
    from pages.lab.store import Store

    with _lock:
        if _store is None:
            _store = Store()
        return _store
