"""Data that several tests share."""

import os

import pytest

from normlib.digits import draw_digits
from normlib.mnist import Dataset, load_mnist


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
