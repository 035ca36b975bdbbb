"""A run is a pure function of its config, its data and its seed, and every method is healthy."""

import gc
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.ops import gradient_registry

from normlib import training
from normlib.cnn import SmallCNN
from normlib.config import METHODS, TrainConfig
from normlib.run import EpochEnd, Progress, Run, Started
from normlib.training import batches, train

QUICK = TrainConfig(train_size=330, batch_size=32, epochs=1)


def quick(**changes) -> TrainConfig:
    return replace(QUICK, **changes)


def _plain_losses(config: TrainConfig, data, dtype: tf.DType) -> list[float]:
    """The losses of a run by the obvious eager loop, to hold the in-graph one to."""
    net = SmallCNN(config, dtype)
    net.start_from(data.train_images[:500])
    count = min(config.train_size, len(data.train_images))
    losses = []
    for epoch in range(config.epochs):
        order = batches(config, count, epoch)
        for at in range(0, count, config.batch_size):
            indices = order[at : at + config.batch_size]
            labels = tf.cast(data.train_labels[indices], tf.int32)
            with tf.GradientTape() as tape:
                logits = net.forward(data.train_images[indices], training=True)["logits"]
                each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
                loss = tf.reduce_mean(each)
            variables = net.trainable_variables
            for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
                variable.assign_sub(config.learning_rate * gradient)
            losses.append(float(loss))
    return losses


@pytest.mark.parametrize("method", METHODS)
def test_losses_are_those_of_the_obvious_loop_in_float64(method, drawn):
    config = quick(normalization=method, learning_rate=0.001)  # gentle: rounding must not grow
    np.testing.assert_allclose(
        train(config, drawn).losses, _plain_losses(config, drawn, tf.float64), rtol=2e-4
    )


@pytest.mark.parametrize("method", ["batch", "layer"])
def test_a_method_learns_mnist(method, mnist):
    config = TrainConfig(normalization=method, train_size=6_000, epochs=2, learning_rate=0.05)
    run = train(config, mnist)
    assert run.status == "finished"
    assert run.test_accuracy > 0.85


@pytest.mark.parametrize("method", ["none", "batch", "weight", "layer"])
def test_side_by_side_is_equal_to_alone_to_the_last_bit(method, drawn):
    config = quick(normalization=method, placement="conv and dense")
    alone = _bits(train(config, drawn))
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda _: train(config, drawn), range(3)))
    assert [_bits(run) for run in together] == [alone] * 3


def _bits(run: Run) -> tuple:
    """What has to repeat: everything but the clock."""
    weights = [array.tobytes() for epoch in run.weights for array in epoch.values()]
    epochs = [replace(epoch, seconds=0) for epoch in run.epochs]
    return run.losses, epochs, run.recorded, run.test_accuracy, run.predictions.tobytes(), weights


def test_beyond_a_budget_only_the_last_epochs_weights_are_kept(drawn, monkeypatch):
    config = quick(epochs=4)
    whole = train(config, drawn)
    one = sum(array.nbytes for array in whole.weights[-1].values())
    for most, kept in ((2 * one, 2), (one - 1, 1)):  # the last stay in any case
        monkeypatch.setattr(training, "WEIGHT_BYTES", most)
        run = train(config, drawn)
        assert [bool(epoch) for epoch in run.weights] == [False] * (4 - kept) + [True] * kept
        assert _bits(run)[:-1] == _bits(whole)[:-1]
        for name, array in whole.weights[-1].items():
            np.testing.assert_array_equal(run.weights[-1][name], array)


def test_the_method_changes_neither_weights_nor_batches():
    nets = [SmallCNN(quick(normalization=m)) for m in ("none", "batch", "layer")]
    for net in nets[1:]:
        for kernel in ("conv_kernel", "dense_kernel", "output_kernel"):
            np.testing.assert_array_equal(getattr(net, kernel)(), getattr(nets[0], kernel)())
    np.testing.assert_array_equal(
        batches(quick(normalization="none"), 330, 2),
        batches(quick(normalization="batch", epsilon=0.1, learning_rate=1.0), 330, 2),
    )


def test_the_seed_changes_both():
    one, two = (SmallCNN(quick(seed=seed)).conv_kernel() for seed in (1, 2))
    assert not np.allclose(one, two)
    assert not np.array_equal(batches(quick(seed=1), 330, 0), batches(quick(seed=2), 330, 0))
    first, second = batches(QUICK, 330, 0), batches(QUICK, 330, 1)
    assert sorted(first) == list(range(330)) == sorted(second)
    assert not np.array_equal(first, second)


def test_events_tell_the_whole_run(drawn):
    events = []
    config = quick(epochs=2)
    run = train(config, drawn, events.append)
    started, *rest = events
    assert started == Started(steps=22, steps_per_epoch=11)
    progress = [event for event in rest if isinstance(event, Progress)]
    assert [loss for event in progress for loss in event.losses] == run.losses
    told = [value for event in progress for value in event.accuracies]
    assert told == run.recorded["batch_accuracies"]
    steps = [row for event in progress for row in event.recorded["step"]]
    assert steps == run.recorded["step"] == [event.step for event in progress]
    assert [event.result for event in rest if isinstance(event, EpochEnd)] == run.epochs
    rows = {name: len(rows) for name, rows in run.recorded.items() if name != "batch_accuracies"}
    assert set(rows.values()) == {len(steps)}


def test_ghost_batches_survive_a_short_last_batch_and_every_evaluation(drawn):
    for statistics in ("moving", "batch"):
        config = quick(ghost_batches=16, inference_statistics=statistics)
        run = train(config, drawn)
        assert run.status == "finished" and len(run.losses) == 11
        np.testing.assert_allclose(
            run.losses[:2], _plain_losses(config, drawn, tf.float64)[:2], 1e-3
        )


def test_losses_of_an_epoch_add_up(drawn):
    run = train(QUICK, drawn)
    (epoch,) = run.epochs
    assert epoch.report_loss == pytest.approx(sum(run.losses) / 330)
    sizes = [32] * 10 + [10]
    assert epoch.train_loss == pytest.approx(np.average(run.losses, weights=sizes))
    assert run.test_accuracy == np.mean(run.predictions == drawn.test_labels)


def test_stop_ends_it_between_calls(drawn):
    seen = []
    run = train(quick(epochs=50), drawn, seen.append, lambda: len(seen) > 3)
    assert run.status == "stopped"
    assert 0 < len(run.losses) < 50 * 11
    assert run.test_accuracy is None
    assert f"{len(run.losses)}" in run.message


def _in_stretches(config: TrainConfig, data, tell=None) -> Run:
    """The run of a training that is stopped before each call, kept as a file keeps it, and goes on
    from there after somebody else has used its graphs."""
    run = None
    while run is None or run.status == "stopped":
        asked = iter((False, True))
        run = train(config, data, tell, lambda asked=asked: next(asked), run)
        run = Run.from_dict(json.loads(json.dumps(run.to_dict())), run.arrays())
        train(replace(config, seed=99, epochs=1, train_size=64), data)
    return run


@pytest.mark.parametrize(
    "changes",
    [
        *({"normalization": method} for method in ("batch", "weight", "layer")),
        {"normalization": "weight", "weight_norm_start": "data", "placement": "conv and dense"},
        {"depth": 3, "residual": "pre", "normalization": "batch"},
    ],
)
def test_what_was_stopped_goes_on_as_if_it_never_was_to_the_last_bit(changes, drawn):
    config, parts = quick(epochs=2, **changes), []
    whole, run = train(config, drawn), _in_stretches(config, drawn, parts.append)
    assert _bits(run) == _bits(whole)
    told = [part for part in parts if isinstance(part, Progress)]
    assert [loss for part in told for loss in part.losses] == whole.losses
    assert len([part for part in parts if isinstance(part, EpochEnd)]) == 2
    assert (whole.state, run.state) == ({}, {})


def test_a_training_that_goes_on_diverges_in_the_same_words(drawn):
    whole, run = (do(quick(learning_rate=10.0), drawn) for do in (train, _in_stretches))
    assert (run.status, run.message) == ("diverged", whole.message)
    np.testing.assert_array_equal(run.losses, whole.losses)


def test_only_the_same_training_can_go_on(drawn):
    stopped = train(quick(), drawn, should_stop=lambda: True)
    others = {"config": quick(seed=1), "state": {}, "status": "finished", "versions": {"a": "0"}}
    for name, value in others.items():
        with pytest.raises(ValueError, match="this very training"):
            train(quick(), drawn, so_far=replace(stopped, **{name: value}))


def test_what_is_recorded_of_a_long_training_is_bounded(drawn, monkeypatch):
    config = quick(epochs=40)
    whole = train(config, drawn).recorded["step"]
    monkeypatch.setattr(training, "MOST_RECORDED", 20)
    few = train(config, drawn).recorded
    assert len(whole) > 80
    assert 10 < len(few["step"]) <= 20 + len(training._FIRST_CALLS)
    assert few["step"][:3] == whole[:3] == [1, 2, 5]
    assert set(few["step"]) < set(whole)
    rows = {len(rows) for name, rows in few.items() if name != "batch_accuracies"}
    assert rows == {len(few["step"])}


def test_a_loss_that_leaves_the_finite_numbers_is_a_result(drawn):
    run = train(quick(learning_rate=10.0), drawn)
    assert run.status == "diverged"
    assert not np.isfinite(run.losses[-1])
    assert np.isfinite(run.losses[:-1]).all()
    told, largest = run.message.rstrip(".").rsplit(" ", 1)
    assert told == f"Diverged at step {len(run.losses):,}, largest pre-activation"
    assert 1e3 < float(largest) < float("inf")


def test_where_nothing_was_finite_the_sentence_says_so(drawn):
    config = TrainConfig(
        epsilon=0.0, batch_size=1, placement="conv and dense", train_size=64, epochs=1
    )
    message = train(config, drawn).message
    assert message == "Diverged at step 1, no pre-activation was finite."


@pytest.mark.parametrize("settings", [{"ghost_batches": 2}, {"center": False}])
def test_recorded_statistics_are_those_that_the_layer_divides_by(drawn, settings):
    config = quick(train_size=64, momentum=0.0, learning_rate=1e-6, **settings)
    recorded = train(config, drawn).recorded
    for name in ("moving_mean", "moving_variance", "batch_mean", "batch_variance"):
        assert np.shape(recorded[name][-1]) == (30,), name
    np.testing.assert_allclose(
        recorded["batch_variance"][-1], recorded["moving_variance"][-1], rtol=0.5, atol=1e-3
    )
    if not config.center:
        assert not np.any(recorded["moving_mean"]) and not np.any(recorded["batch_mean"])


def test_evaluation_knows_no_ghosts(drawn):
    config = quick(ghost_batches=4, inference_statistics="batch")
    run = train(config, drawn)
    net = SmallCNN(replace(config, ghost_batches=1))
    net.set_weights(run.weights[-1])
    read = [
        np.argmax(net.forward(drawn.test_images[at : at + 500], False, True)["logits"], 1)
        for at in range(0, len(drawn.test_images), 500)
    ]
    assert np.mean(np.concatenate(read) == run.predictions) > 0.999


def test_frozen_scale_and_shift_stay_where_they_were(drawn):
    frozen = train(quick(learn_scale_shift=False), drawn).weights[-1]
    learned = train(QUICK, drawn).weights[-1]
    assert (frozen["conv_norm/gamma"] == 1).all() and (frozen["conv_norm/beta"] == 0).all()
    assert (learned["conv_norm/gamma"] != 1).all() and (learned["conv_norm/beta"] != 0).all()


def test_the_constant_kernel_is_the_reports_box_and_never_moves(drawn):
    run = train(quick(normalization="weight", weight_norm_start="constant"), drawn)
    np.testing.assert_allclose(run.weights[-1]["conv_kernel/w"], 750**-0.5, rtol=1e-6)
    assert set(np.array(run.recorded["gradient_norms"])[:, 0]) == {0.0}


def test_the_bias_before_batch_norm_gets_no_gradient_but_rounding(drawn):
    batch, none = (train(quick(normalization=m), drawn) for m in ("batch", "none"))
    assert max(batch.recorded["bias_gradient"]) < 1e-3 < min(none.recorded["bias_gradient"])


def test_moving_statistics_approach_the_batchs(drawn):
    recorded = train(quick(epochs=4), drawn).recorded
    gap = np.abs(np.array(recorded["moving_variance"]) - np.array(recorded["batch_variance"]))
    assert gap[-1].mean() < 0.2 * gap[0].mean()


def test_inference_statistics_matter(drawn):
    slow = quick(momentum=0.999, epochs=1)
    own = replace(slow, inference_statistics="batch")
    assert train(slow, drawn).losses == train(own, drawn).losses
    assert train(slow, drawn).test_accuracy != train(own, drawn).test_accuracy


def test_the_data_dependent_start_gives_unit_pre_activations(drawn):
    config = quick(normalization="weight", weight_norm_start="data", placement="conv and dense")
    net = SmallCNN(config)
    net.start_from(drawn.train_images[:500])
    stages = net.forward(drawn.train_images[:500], training=False)
    for stage, axes in (("conv", (0, 1, 2)), ("hidden", 0), ("logits", 0)):
        x = stages[stage].numpy().astype(np.float64)
        np.testing.assert_allclose(x.mean(axes), 0, atol=1e-4)
        np.testing.assert_allclose(x.std(axes), 1, atol=1e-4)


def test_graphs_that_served_another_training_leave_no_trace(drawn):
    config = quick(normalization="batch", placement="conv and dense")
    first = train(config, drawn)
    train(replace(config, seed=3, batch_size=50, train_size=150), drawn)
    again = train(config, drawn)
    assert (first.losses, first.recorded) == (again.losses, again.recorded)
    assert first.test_accuracy == again.test_accuracy


def test_graphs_of_other_settings_or_data_are_not_taken(drawn):
    config = quick(normalization="batch")
    losses = train(config, drawn).losses
    assert train(replace(config, learning_rate=0.02), drawn).losses[0] == losses[0]
    assert train(replace(config, learning_rate=0.02), drawn).losses[1] != losses[1]
    assert train(replace(config, epsilon=0.1), drawn).losses[0] != losses[0]
    upside_down = replace(drawn, train_images=drawn.train_images[:, ::-1])
    assert train(config, upside_down).losses[0] != losses[0]


def test_a_training_leaves_no_graph_behind(drawn, monkeypatch):
    """TensorFlow would keep each graph that was traced through a custom gradient for good."""
    monkeypatch.setattr(training, "_KEPT", 0)  # else some are kept for the next one
    config = TrainConfig(normalization="batch", train_size=200, epochs=1)
    registered = []
    for _ in range(3):
        train(config, drawn)
        gc.collect()
        registered.append(len(list(gradient_registry.list())))
    assert registered[2] <= registered[0]  # what other tests left may be freed meanwhile


@pytest.mark.parametrize("method", ["batch", "weight"])
def test_how_far_a_step_moves_a_kernel_is_measured_on_the_kernel(method, drawn):
    config = quick(normalization=method, placement="conv and dense", learning_rate=0.5)
    run = train(replace(config, train_size=64), drawn)  # two steps, and a look after each
    net = SmallCNN(config)
    lengths = [float(tf.norm(kernel())) for _, kernel, _ in net.layers()]
    assert run.recorded["kernel_lengths"][0] == pytest.approx(lengths, rel=1e-5)
    before = [kernel().numpy() for _, kernel, _ in net.layers()]
    first = batches(config, 64, 0)[:32]
    training.sgd_step(net, drawn.train_images[first], drawn.train_labels[first], 0.5)
    moved = [
        float(tf.norm(kernel() - w) / tf.norm(w))
        for (_, kernel, _), w in zip(net.layers(), before, strict=True)
    ]
    assert run.recorded["updates"][0] == pytest.approx(moved, rel=1e-3)
