"""The drawn digits: the same for everybody, balanced, varied, and possible to tell apart."""

import hashlib

import numpy as np
import pytest

from normlib.digits import draw_digits


@pytest.fixture(scope="module")
def drawn():
    return draw_digits(2_000, 0)


def test_the_same_seed_draws_the_same_pixels_on_every_machine():
    images, labels = draw_digits(300, 7)
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    # A run's key contains its data's checksum: changed drawings make every kept run a stranger.
    assert digest[:16] == "3f08809945942550"


def test_another_seed_draws_other_digits():
    (first, first_labels), (second, second_labels) = draw_digits(50, 0), draw_digits(50, 1)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first_labels, second_labels)


def test_every_class_is_equally_frequent_in_no_order_and_no_two_digits_are_equal(drawn):
    images, labels = drawn
    assert (images.shape, images.dtype) == ((2_000, 28, 28, 1), np.uint8)
    assert (labels.shape, labels.dtype) == ((2_000,), np.uint8)
    assert np.bincount(labels, minlength=10).tolist() == [200] * 10
    assert 0.05 < np.mean(labels[1:] == labels[:-1]) < 0.15  # a tenth, if the order is random
    assert len({image.tobytes() for image in images}) == len(images)


def test_digits_vary_in_position_ink_and_slant(drawn):
    images, labels = drawn
    ones = images[labels == 1, :, :, 0].astype(float)
    grid = np.arange(28.0)
    mass = ones.sum(axis=(1, 2))
    x = (ones.sum(axis=1) * grid).sum(axis=1) / mass
    y = (ones.sum(axis=2) * grid).sum(axis=1) / mass
    dx, dy = grid - x[:, None], grid - y[:, None]
    lean = np.einsum("nyx,ny,nx->n", ones, dy, dx) / np.einsum("nyx,ny->n", ones, dy**2)
    assert x.std() > 0.3 and y.std() > 0.3  # pixels
    assert mass.std() / mass.mean() > 0.15
    assert lean.std() > 0.05


def test_white_ink_on_a_black_ground_that_stays_on_the_paper(drawn):
    images, _ = drawn
    assert (images.max(axis=(1, 2, 3)) > 150).all()
    assert 0.1 < (images > 0).mean() < 0.3  # MNIST: 0.19
    rim = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
    assert (rim > 0).mean() < 0.01


def test_the_digits_can_be_told_apart_but_not_trivially(drawn):
    images, labels = drawn
    pixels = images.reshape(len(images), -1) / 255.0
    known, asked = slice(0, 1_500), slice(1_500, None)
    means = np.stack([pixels[known][labels[known] == digit].mean(axis=0) for digit in range(10)])
    distances = np.square(pixels[asked][:, None] - means).sum(axis=2)
    accuracy = np.mean(distances.argmin(axis=1) == labels[asked])
    assert 0.6 < accuracy < 0.97  # the nearest mean picture; MNIST: 0.82


@pytest.mark.parametrize("count", [0, 1, 9])
def test_few_digits(count):
    images, labels = draw_digits(count, 0)
    assert images.shape == (count, 28, 28, 1)
    assert sorted(labels.tolist()) == list(range(count))


def test_a_negative_count_is_refused():
    with pytest.raises(ValueError, match="must not be negative"):
        draw_digits(-1, 0)
