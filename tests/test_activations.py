"""The activations against the network's own forward pass, their summaries against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from normlib.cnn import SmallCNN
from normlib.config import TrainConfig
from normlib.run import Run
from pages.lab.activations import (
    PERCENTILES,
    Network,
    channel_table,
    convolve,
    divides,
    fresh,
    hidden,
    kernel,
    refusal,
    shrink_factors,
    steps,
    summaries,
    summarize,
    trained,
    variances,
)

RNG = np.random.default_rng(0)


def _spiky() -> np.ndarray:
    """Half of all values exactly 0, as over the background of a digit; one channel never positive;
    one constant."""
    x = RNG.normal(0, 0.3, (9, 14, 14, 6)).astype(np.float32)
    x[RNG.random(x.shape) < 0.5] = 0
    x[..., 2] = -np.abs(x[..., 2])
    x[..., 3] = 0.25
    return x


ARRAYS = {
    "spiky": _spiky(),
    "normal": RNG.normal(0, 1, (70, 5, 5, 30)).astype(np.float32),
    "mean a thousand times the spread": RNG.normal(1000, 1, (40, 8, 8, 4)).astype(np.float32),
    "huge": RNG.normal(0, 1e30, (5, 3, 3, 2)).astype(np.float32),
    "small": RNG.normal(0, 1e-20, (5, 3, 3, 2)).astype(np.float32),
    "dense": RNG.normal(0, 7, (33, 100)).astype(np.float32),
    "one example": RNG.normal(0, 1, (1, 100)).astype(np.float32),
    "one value": np.full((1, 1), -3, np.float32),
    "all zero": np.zeros((4, 3, 3, 2), np.float32),
    "powers of two": np.array([[1.0, -1.0], [2.0, -2.0], [4.0, -4.0]], np.float32),
    "more rows than a byte counts": RNG.normal(0, 1, (1000, 3)).astype(np.float32),
}


def _close(found: np.ndarray, expected: np.ndarray, scale: float, tolerance: float = 3e-7) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale + 1e-37)


@pytest.mark.parametrize("name", ARRAYS)
def test_summary_is_numpys_in_float64(name: str) -> None:
    x = ARRAYS[name]
    exact = x.astype(np.float64)
    axes = tuple(range(x.ndim - 1))
    s = summarize(x)
    scale = float(np.abs(exact).max())
    spread = float(exact.std()) or scale
    _close(s.mean, exact.mean(axes), spread)
    _close(s.std, exact.std(axes), spread, 1e-6)
    _close(s.overall_mean, exact.mean(), spread)
    _close(s.overall_std, exact.std(), spread, 1e-6)
    assert np.array_equal(s.minimum, exact.min(axes))
    assert np.array_equal(s.maximum, exact.max(axes))
    assert np.array_equal(s.zeros, (x == 0).sum(axes))
    assert np.array_equal(s.positive, (x > 0).sum(axes))
    assert np.array_equal(s.dead, exact.max(axes) <= 0)
    percentiles = np.percentile(exact, PERCENTILES, method="lower")
    assert (abs(s.percentiles - percentiles) <= 2.0**s.exponent / 32768).all()
    assert s.values == x.size and s.finite


@pytest.mark.parametrize("name", ARRAYS)
def test_summary_after_relu_is_that_of_relu(name: str) -> None:
    x = ARRAYS[name]
    found, expected = summarize(x).after_relu(), summarize(np.maximum(x, 0))
    spread = float(x.std(dtype=np.float64)) or float(np.abs(x).max())
    for field in ("mean", "std", "relu_mean", "relu_std"):
        _close(getattr(found, field), getattr(expected, field), spread, 1e-6)
    _close(found.percentiles, expected.percentiles, 2.0**found.exponent, 1 / 32768)
    for field in ("minimum", "maximum", "zeros", "positive", "dead"):
        assert np.array_equal(getattr(found, field), getattr(expected, field)), field
    assert np.array_equal(found.histogram(4.0), expected.histogram(4.0))


@pytest.mark.parametrize(
    ("name", "half_width"),
    [
        (name, half_width)
        for name in ("spiky", "normal", "dense", "powers of two", "one value")
        for half_width in (0.25, 1.0, 8.0, 64.0)
        if (name, half_width) != ("dense", 0.25)  # narrower than a cell: the next test's matter
    ],
)
def test_histogram_counts_every_value_in_its_bin(name: str, half_width: float) -> None:
    x = ARRAYS[name]
    edges = np.linspace(-half_width, half_width, 65)
    inside = np.digitize(x.ravel(), edges) - 1  # left edge belongs to the bin, as in floor
    expected = np.bincount(inside.clip(0, 63), minlength=64)
    assert np.array_equal(summarize(x).histogram(half_width), expected)


def test_bins_narrower_than_a_cell_lose_nothing() -> None:
    x = ARRAYS["dense"]  # reaches to 32, so that a cell is 1/64 wide
    found = summarize(x).histogram(0.25)
    assert found.sum() == x.size
    assert found[1:-1:2].sum() == 0  # each cell is counted where it begins
    inside = (x >= -0.25) & (x < 0.25)
    assert (
        abs(found[1:-1].sum() - inside.sum())
        <= ((x >= -0.25) & (x < -0.234)).sum() + ((x >= 0.234) & (x < 0.25)).sum()
    )


@pytest.mark.parametrize("name", ["spiky", "normal", "dense", "mean a thousand times the spread"])
def test_half_width_leaves_out_no_more_than_it_may(name: str) -> None:
    x, s = ARRAYS[name], summarize(ARRAYS[name])
    width = s.half_width(outside=0.02)
    assert np.frexp(width)[0] == 0.5
    assert np.mean(np.abs(x) > width) <= 0.02 < np.mean(np.abs(x) > width / 2)
    assert 0 < summarize(ARRAYS["all zero"]).half_width() < 1e-20


def test_histogram_refuses_bins_that_cells_do_not_fill() -> None:
    s = summarize(ARRAYS["normal"])
    for half_width, bins in ((3.0, 64), (4.0, 60), (4.0, 1), (0.0, 64)):
        with pytest.raises(ValueError, match="powers of two"):
            s.histogram(half_width, bins)


def test_what_is_not_finite_is_said_and_not_counted() -> None:
    x = ARRAYS["normal"].copy()
    x[3, 2, 1, 7], x[0, 0, 0, 7], x[5, 4, 4, 9] = np.nan, np.inf, -np.inf
    s = summarize(x)
    assert not s.finite
    assert np.flatnonzero(np.isnan(s.mean)).tolist() == [7, 9]
    assert np.isnan(s.overall_mean) and np.isnan(s.percentiles).all()
    assert s.histogram(8.0).sum() == x.size - 3
    assert s.zeros.sum() == 0
    healthy = np.delete(np.arange(30), [7, 9])
    _close(s.mean[healthy], x.astype(np.float64).mean((0, 1, 2))[healthy], 1.0)


@pytest.mark.parametrize("shape", [(0, 4), (5,)])
def test_an_array_without_values_or_channels_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="Activations must be"):
        summarize(np.zeros(shape))


def test_every_channel_gets_a_row_of_numpys_numbers() -> None:
    x = ARRAYS["spiky"]
    rows = channel_table({"before": tf.constant(x), "relu": tf.nn.relu(x)})
    assert rows["channel"].to_list() == 2 * list(range(6))
    for step, values in (("before", x), ("relu", np.maximum(x, 0))):
        own, exact = rows[rows["step"] == step], values.astype(np.float64)
        expected = np.percentile(exact, PERCENTILES, axis=(0, 1, 2)).T
        np.testing.assert_allclose(own[["p15", "p50", "p85"]], expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(own["std"], exact.std((0, 1, 2)), rtol=1e-5)
        assert np.array_equal(own["maximum"], values.max((0, 1, 2)))
        assert np.array_equal(own["zeros"], (values == 0).mean((0, 1, 2)))


# ---- the network -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def images(drawn) -> np.ndarray:
    return drawn.train_images[:12]


def a_run(method: str, epochs: int = 1, **changes: object) -> Run:
    """A run whose weights are noticeably not the first ones."""
    config = TrainConfig(normalization=method, **{"placement": "conv and dense"} | changes)
    rng = np.random.default_rng(5)
    weights = [
        {
            name: (array + rng.normal(0, 0.3, array.shape)).astype(np.float32)
            for name, array in SmallCNN(config).weights().items()
        }
        for _ in range(epochs)
    ]
    return Run(config, "drawn digits", "0" * 64, "finished", weights=weights)


def the_steps(network: Network, layer: str, method: str, images: np.ndarray, epsilon: float):
    x = convolve(network, images, method)
    if layer == "hidden":
        x = hidden(network, method, x, epsilon)
    return steps(network, layer, method, x, epsilon)


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        *((method, {}) for method in ("none", "batch", "weight", "layer", "group", "rms")),
        *((method, {"placement": "conv"}) for method in ("weight", "layer", "instance")),
        *((method, {"position": "after ReLU"}) for method in ("none", "batch", "layer")),
        *((method, {"center": False}) for method in ("batch", "layer", "group")),
        *((method, {"scale": False}) for method in ("batch", "layer", "group", "rms")),
        ("batch", {"center": False, "scale": False}),
        ("weight", {"weight_norm_start": "constant"}),
    ],
)
def test_the_plain_functions_give_what_the_network_gives(method, changes, images) -> None:
    run = a_run(method, epsilon=0.01, **changes)
    cnn = SmallCNN(run.config)
    cnn.set_weights(run.weights[0])
    stages = cnn.forward(images, training=False, own_statistics=True)
    names = {"before": "", "normalized": "_normalized", "relu": "_relu"}
    for layer in ("conv", "hidden"):
        found = the_steps(trained(run), layer, method, images, 0.01)
        in_order = [names[step] for step in found]
        assert in_order == [name.removeprefix(layer) for name in stages if name.startswith(layer)]
        for step, tensor in found.items():
            expected = stages[layer + names[step]].numpy()
            scale = float(np.abs(expected).max())
            np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-4, atol=2e-5 * scale)


@pytest.mark.parametrize("trained_with", ["none", "batch", "weight"])
@pytest.mark.parametrize("method", ["none", "batch", "weight", "layer"])
def test_every_method_sees_the_weights_of_the_run(trained_with, method) -> None:
    run = a_run(trained_with)
    source = SmallCNN(run.config)
    source.set_weights(run.weights[0])
    for part in ("conv", "dense"):
        expected = getattr(source, f"{part}_kernel")().numpy()
        found = kernel(trained(run), part, method).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_gamma_and_beta_go_only_to_the_method_that_learned_them(images) -> None:
    network = trained(a_run("batch"))
    own = the_steps(network, "conv", "batch", images, 1e-5)["normalized"].numpy()
    gamma, beta = network.weights["conv_norm/gamma"], network.weights["conv_norm/beta"]
    np.testing.assert_allclose(own.mean((0, 1, 2)), beta, atol=1e-4)
    np.testing.assert_allclose(own.std((0, 1, 2)), np.abs(gamma), rtol=1e-3)
    other = the_steps(network, "conv", "instance", images, 1e-5)["normalized"].numpy()
    np.testing.assert_allclose(other.mean((1, 2)), 0, atol=1e-4)


def test_an_epoch_has_its_own_weights() -> None:
    run = a_run("none", epochs=2)
    kernels = [kernel(trained(run, epoch), "conv", "none").numpy() for epoch in (0, 1)]
    assert not np.array_equal(*kernels)


def test_a_run_without_weights_is_a_clear_error() -> None:
    for weights in ([], [{}]):
        run = Run(TrainConfig(), "drawn digits", "0" * 64, "stopped", weights=weights)
        with pytest.raises(ValueError, match="kept no weights"):
            trained(run)


def test_a_method_that_cannot_stand_in_a_layer_gets_a_sentence() -> None:
    assert refusal(fresh(0), "conv", "instance") == ""
    assert "averages over positions" in refusal(fresh(0), "hidden", "instance")
    odd = trained(a_run("none", hidden_units=51))
    assert "51 channels cannot be split" in refusal(odd, "hidden", "group")


def test_methods_share_what_nothing_normalizes(images) -> None:
    found = the_steps(fresh(0), "conv", "none", images, 1e-5)
    before = summarize(found["before"].numpy())
    assert summaries(found, before)["normalized"] is before
    first = convolve(fresh(0), images, "none")
    assert np.array_equal(first[:5], convolve(fresh(0), images[:5], "none"))
    assert not np.array_equal(first, convolve(fresh(1), images, "none"))


def test_a_dead_unit_is_counted(images) -> None:
    bias = np.r_[np.full(3, -100.0), np.zeros(27)].astype(np.float32)
    network = Network(fresh(0).config, {**fresh(0).weights, "conv_bias": bias})
    found = the_steps(network, "conv", "none", images, 1e-5)
    dead = summaries(found, summarize(found["before"].numpy()))["relu"].dead
    assert np.flatnonzero(dead).tolist() == [0, 1, 2]


# ---- what stands under the root --------------------------------------------------------------


def test_variances_are_what_stands_under_the_root(images) -> None:
    tensor = convolve(fresh(0), images, "none")
    x = tensor.numpy().astype(np.float64)
    grouped = x.reshape(12, 28, 28, 5, 6)
    expected = {
        "batch": x.var((0, 1, 2)),
        "layer": x.var((1, 2, 3)),
        "group": grouped.var((1, 2, 4)),
        "instance": x.var((1, 2)),
        "rms": np.mean(x**2, (1, 2, 3)),
    }
    for method, values in expected.items():
        assert divides(fresh(0), "conv", method)
        np.testing.assert_allclose(variances(fresh(0), method, tensor), values.ravel(), rtol=1e-5)


def test_nothing_is_divided_without_a_normalization_of_activations() -> None:
    assert not any(divides(fresh(0), "conv", method) for method in ("none", "weight"))
    on_conv = trained(a_run("batch", placement="conv"))
    assert divides(on_conv, "conv", "batch") and not divides(on_conv, "hidden", "batch")
    assert not divides(trained(a_run("batch", scale=False)), "conv", "batch")


@pytest.mark.parametrize("epsilon", [1e-8, 1e-2, 1.0])
def test_the_shrink_factor_is_the_standard_deviation_that_is_left(epsilon, images) -> None:
    found = the_steps(fresh(0), "conv", "batch", images, epsilon)
    factors = shrink_factors(variances(fresh(0), "batch", found["before"]), epsilon)
    z = found["normalized"].numpy().astype(np.float64)
    np.testing.assert_allclose(factors, z.std((0, 1, 2)), rtol=1e-5)


def test_nothing_is_left_of_no_spread() -> None:
    assert shrink_factors(np.zeros(3), 0.0).tolist() == [0, 0, 0]
