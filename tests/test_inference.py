"""A trained batch norm with other statistics, against its forward pass batch by batch."""

from dataclasses import replace

import numpy as np
import pytest

from normlib.config import TrainConfig
from normlib.training import train
from pages.lab import inference, recorded, studies

SMALL = TrainConfig(train_size=320, epochs=1, batch_size=32, hidden_units=10, momentum=0.9)


@pytest.fixture(scope="module", params=["conv", "conv and dense"])
def run(request, drawn):
    return train(replace(SMALL, placement=request.param, learning_rate=0.05), drawn)


def own_logits(net, images):
    return net.forward(images, training=False, own_statistics=True)["logits"].numpy()


@pytest.mark.parametrize(("size", "one_class"), [(12, False), (4, True)])
def test_accuracy_in_batches_is_that_of_each_batch_alone(size, one_class, run, drawn):
    net = inference.network(run)
    images, labels = drawn.test_images, drawn.test_labels
    groups = [np.random.default_rng([0, size]).permutation(len(images))]
    if one_class:
        groups = [np.flatnonzero(labels == digit) for digit in range(10)]
    whole = [group[: len(group) // size * size].reshape(-1, size) for group in groups]
    right = [own_logits(net, images[b]).argmax(1) == labels[b] for b in np.concatenate(whole)]
    found = inference.accuracy_in_batches(net, images, labels, size, one_class)
    assert found == pytest.approx(np.mean(right))


def test_too_few_images_give_no_accuracy_and_never_nan(run, drawn):
    few = replace(drawn, test_images=drawn.test_images[:100], test_labels=drawn.test_labels[:100])
    net, seen = inference.network(run), inference.evaluated(few)
    assert inference.accuracy_in_batches(net, *seen, 256) is None
    assert inference.accuracy_in_batches(net, *seen, 32, one_class=True) is None
    seen = inference.mates({"batch": net}, few, 712, 32, None)
    assert (seen.pinned, seen.sorted) == (99, None)
    found = inference.study(run, few)
    assert max(found.own) == 100
    assert np.isfinite([*found.own.values(), found.own_as_trained]).all()


def test_recalibration_is_the_plain_average_over_the_batches(run, drawn):
    net, size = inference.network(run), 40
    images = drawn.train_images[:200]
    conv = net.forward(images, training=False)["conv"].numpy().reshape(5, -1, 30)
    means, variances = (by(conv, 1, dtype=np.float64) for by in (np.mean, np.var))
    assert inference.recalibrate(net, images, size) == 5
    np.testing.assert_allclose(net.conv_norm.moving_mean, np.mean(means, 0), atol=1e-6)
    np.testing.assert_allclose(net.conv_norm.moving_variance, np.mean(variances, 0), rtol=1e-5)


def test_recalibration_changes_no_weight_and_not_the_run(run, drawn):
    before = {name: array.copy() for name, array in run.weights[-1].items()}
    net = inference.network(run)
    inference.recalibrate(net, drawn.train_images[:100], 50)
    for name, array in net.weights().items():
        assert np.array_equal(array, before[name]) == ("moving" not in name), name
        np.testing.assert_array_equal(run.weights[-1][name], before[name])


def test_each_cloud_point_is_a_forward_pass_of_its_whole_batch(run, drawn):
    net, images, labels = inference.network(run), drawn.test_images, drawn.test_labels
    mates = inference.draw_mates(labels, 7, 5)
    cloud = inference.cloud(net, images, 7, mates)
    assert cloud.shape == (200, 10)
    for batch in (0, 1, 99, 199):
        whole = images[[7, *mates[batch]]]
        np.testing.assert_allclose(cloud[batch], own_logits(net, whole)[0], atol=2e-4)
    assert np.ptp(cloud, axis=0).max() > 1e-2


def test_a_batch_of_one_on_a_dense_layer_says_the_same_of_every_image(run, drawn):
    net = inference.network(run)
    logits = np.concatenate([own_logits(net, image[None]) for image in drawn.test_images[:5]])
    same = np.ptp(logits, axis=0).max() == 0
    assert same == (run.config.placement == "conv and dense")


@pytest.mark.parametrize("method", ["none", "weight", "layer"])
def test_the_other_methods_do_not_look_at_the_company(method, drawn):
    net = inference.network(train(replace(SMALL, normalization=method), drawn))
    mates = inference.draw_mates(drawn.test_labels, 7, 5)
    alone = inference.logits(net, drawn.test_images[7][None])[0]
    for batch in mates[:3]:
        whole = drawn.test_images[[7, *batch]]
        np.testing.assert_allclose(own_logits(net, whole)[0], alone, atol=1e-5)


def test_momentum_changes_the_moving_statistics_and_no_weight(drawn):
    runs = [train(replace(SMALL, momentum=momentum), drawn) for momentum in (0.0, 0.99)]
    for name, array in runs[0].weights[-1].items():
        assert np.array_equal(array, runs[1].weights[-1][name]) == ("moving" not in name), name


def test_pooled_moments_are_those_of_all_the_numbers_together():
    chance = np.random.default_rng(0)
    x = chance.normal(3.0, 2.0, (6, 5, 5, 4))
    moments = x.mean((1, 2)), x.var((1, 2))
    batches = np.array([[0, 1, 2], [5, 3, 0]])
    mean, variance = inference.pooled(moments, batches)
    np.testing.assert_allclose(mean, [x[batch].mean((0, 1, 2)) for batch in batches])
    np.testing.assert_allclose(variance, [x[batch].var((0, 1, 2)) for batch in batches])


def test_mates_are_drawn_without_the_pinned_one_and_without_repeats():
    labels = np.arange(60) % 10
    mates = inference.draw_mates(labels, 3, 6, digit=3)
    assert mates.shape == (200, 5) and all(len(set(batch)) == 5 for batch in mates.tolist())
    assert (labels[mates] == 3).all() and not (mates == 3).any()
    np.testing.assert_array_equal(mates, inference.draw_mates(labels, 3, 6, digit=3))
    with pytest.raises(ValueError, match="only 5 such images"):
        inference.draw_mates(labels, 3, 7, digit=3)


def test_the_margin_is_positive_exactly_where_the_digit_is_read_correctly():
    logits = np.random.default_rng(1).normal(size=(50, 10))
    np.testing.assert_array_equal(studies.margin(logits, 4) > 0, logits.argmax(1) == 4)
    assert studies.margin(np.array([1.0, 5.0, 2.0] + [0.0] * 7), 1) == 3.0


def test_a_study_holds_each_accuracy(run, drawn):
    found = inference.study(run, drawn, (1, 8))
    net = inference.network(run)
    images, labels = inference.evaluated(drawn)
    assert found.moving == run.test_accuracy
    assert found.own[8] == inference.accuracy_in_batches(net, images, labels, 8)
    assert (found.batches, found.steps) == (320 // 32, 10)
    inference.recalibrate(net, drawn.train_images[:320], 32)
    assert found.recomputed == inference.accuracy(net, images, labels)
    assert found.off["variance"] >= 1


def test_a_moving_average_arrives_as_the_recursion_says():
    moving = 0.0
    for step in range(1, 30):
        moving = 0.9 * moving + 0.1 * 1.0
        assert studies.arrived(0.9, step) == pytest.approx(moving)
    assert studies.arrived(1.0, 100) == 0.0
    assert studies.arrived(0.0, 1) == 1.0


# ---- what ships with the lab -----------------------------------------------------------------


def test_recorded_studies_are_those_that_the_page_asks_for():
    found = studies.recorded_studies().values()
    assert [one.config for one in found] == studies.inference_configs()
    for view in recorded.read("mates")["views"]:
        assert view["pinned"] == studies.PINNED
        assert set(view["cloud"]) == {"random", str(studies.ONE_CLASS)}
        for sizes in view["cloud"].values():
            assert list(map(int, sizes)) == list(studies.MATES_SIZES)
            assert all(np.shape(cloud) == (200, 10) for cloud in sizes.values())


def test_momentum_left_the_recorded_weights_alone():
    by_training = {}
    for one in studies.recorded_studies().values():
        training = (one.config.placement, one.config.batch_size)
        by_training.setdefault(training, []).append((one.own, one.recomputed))
    assert max(map(len, by_training.values())) == len(studies.MOMENTA)
    for same in by_training.values():
        assert all(each == same[0] for each in same)


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [((8, None, 712), (8, None, 712)), ((8, 3, 712), (8, 1, 712)), ((20, 1, 5), (8, 1, 712))],
)
def test_the_nearest_recorded_mates_say_what_they_are(asked, nearest):
    seen = studies.recorded_mates("conv", *asked)
    assert (seen.size, seen.digit, seen.pinned) == nearest
    assert seen.classified_as.sum() == len(seen.cloud)
