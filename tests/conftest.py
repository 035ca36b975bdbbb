"""Data and servers that several tests share."""

import os
from functools import cache

import pytest
from streamlit.components.v2 import manifest_scanner

from normlib.digits import draw_digits
from normlib.mnist import Dataset, load_mnist

# Each new AppTest reads the metadata of every installed package, a third of a second.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)


@pytest.fixture(scope="session")
def drawn() -> Dataset:
    """1,500 drawn digits: 1,000 to train on, 200 for validation, 300 for the test."""
    images, labels = draw_digits(1_500, seed=3)
    parts = (slice(1_000), slice(1_000, 1_200), slice(1_200, None))
    return Dataset(
        "drawn digits",
        "drawn for the tests",
        (),
        "0" * 64,
        *(images[part] for part in parts),
        *(labels[part] for part in parts),
    )


@pytest.fixture(scope="session")
def mnist() -> Dataset:
    """The real MNIST, from the file that NORMLIB_MNIST names."""
    if "NORMLIB_MNIST" not in os.environ:
        pytest.skip("NORMLIB_MNIST does not name an mnist.npz")
    data = load_mnist(download=False)
    assert data.name == "MNIST", data.notes
    return data


@pytest.fixture
def serve(drawn, monkeypatch):
    """`serve(queue)` makes it the queue of a server that has warmed up on the drawn digits."""
    import streamlit as st
    from live_pages import Ready

    from pages.components import server

    def serve(queue):
        monkeypatch.setattr(server, "_experiments", queue)
        return queue

    st.cache_resource.clear()
    monkeypatch.setattr(server, "_warm_up", Ready(drawn))
    return serve


@pytest.fixture
def queue(drawn, serve, tmp_path):
    """The real thing, on few images."""
    from pages.lab.queue import Experiments
    from pages.lab.store import Store

    return serve(Experiments(drawn, Store(tmp_path)))


@pytest.fixture
def workers() -> int:
    """How many trainings a puppet's queue runs at a time."""
    return 1


@pytest.fixture
def puppet(drawn, serve, workers):
    """A queue whose trainings wait for the test."""
    from live_pages import Puppet

    from pages.lab.queue import Experiments

    puppet = Puppet()
    serve(Experiments(drawn, train=puppet, workers=workers))
    yield puppet
    puppet.go.set()


@pytest.fixture
def untimed(monkeypatch) -> None:
    """Leave out what a reproduction of the report measures besides its trainings."""
    from pages.lab import report, reproduce

    costs = dict.fromkeys(report.COLUMNS, 4.0)
    monkeypatch.setattr(reproduce, "step_milliseconds", lambda setting, data: costs)
    monkeypatch.setattr(reproduce, "drawn_digits_losses", lambda setting: {})
