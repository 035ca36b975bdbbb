"""The statistics against NumPy in float64, on what activations really look like."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from normlib.cnn import SmallCNN
from normlib.config import TrainConfig
from normlib.run import Run
from pages.lab.activations import (
    PERCENTILES,
    Memory,
    build,
    channel_percentiles,
    describe,
    divided_variances,
    look,
    nth,
    shrink_factors,
    summarize,
    with_epsilon,
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
    np.testing.assert_allclose(s.percentiles, np.percentile(exact, PERCENTILES), rtol=1e-12)
    assert s.values == x.size and s.finite


@pytest.mark.parametrize("name", ARRAYS)
def test_summary_after_relu_is_that_of_relu(name: str) -> None:
    x = ARRAYS[name]
    found, expected = summarize(x).after_relu(), summarize(np.maximum(x, 0))
    spread = float(x.std(dtype=np.float64)) or float(np.abs(x).max())
    for field in ("mean", "std", "relu_mean", "relu_std"):
        _close(getattr(found, field), getattr(expected, field), spread, 1e-6)
    for field in ("minimum", "maximum", "zeros", "positive", "percentiles", "dead"):
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


def test_half_width_of_zeros_is_a_number() -> None:
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


def test_nth_is_what_sorting_finds() -> None:
    for values in (
        RNG.normal(size=1000).astype(np.float32),
        RNG.integers(0, 4, 1000).astype(np.float32),
        np.repeat(np.float32([0, 1]), [999, 1]),
        np.float32([5]),
        np.arange(500, dtype=np.float32)[::-1],
    ):
        ordered = np.sort(values)
        for rank in {0, len(values) // 7, len(values) // 2, len(values) - 1}:
            value, last = nth(values, rank)
            assert value == ordered[rank]
            assert last == np.searchsorted(ordered, value, side="right") - 1


def test_channel_percentiles_are_numpys() -> None:
    x = ARRAYS["spiky"]
    expected = np.percentile(x.astype(np.float64), PERCENTILES, axis=(0, 1, 2))
    np.testing.assert_allclose(channel_percentiles(x), expected, rtol=1e-12, atol=1e-12)


# ---- on the network --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def images(drawn) -> np.ndarray:
    return drawn.train_images[:12]


def _network(method: str = "batch", **changes: object) -> SmallCNN:
    return SmallCNN.from_config(TrainConfig(normalization=method, **changes))


@pytest.mark.parametrize("layer", ["conv", "hidden"])
@pytest.mark.parametrize("method", ["none", "batch", "weight", "layer"])
def test_describe_tells_what_the_forward_pass_gave(method, layer, images) -> None:
    network = _network(method, placement="conv and dense")
    stages = network.forward(images, training=False, own_statistics=True)
    rows = describe(network, images, layer).set_index("stage")
    assert list(rows.index) == [layer, f"{layer}_normalized", f"{layer}_relu"]
    for stage, row in rows.iterrows():
        x = stages[stage].numpy().astype(np.float64)
        expected = [x.mean(), x.std(), x.min(), *np.percentile(x, PERCENTILES), x.max()]
        found = row[["mean", "std", "minimum", "p15", "p50", "p85", "maximum"]].to_list()
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * x.std())
        assert row["values"] == x.size and row["zeros"] == np.mean(x == 0)
    dead = stages[f"{layer}_relu"].numpy().reshape(-1, x.shape[-1]).max(0) == 0
    assert rows.loc[f"{layer}_relu", "dead"] == dead.mean()


def test_describe_per_channel(images) -> None:
    network = _network("batch")
    x = network.forward(images, training=False, own_statistics=True)["conv_normalized"].numpy()
    rows = describe(network, images, per_channel=True)
    rows = rows[rows["stage"] == "conv_normalized"]
    assert rows["channel"].to_list() == list(range(30))
    assert np.array_equal(rows["maximum"], x.max((0, 1, 2)))
    expected = np.percentile(x.astype(np.float64), PERCENTILES, axis=(0, 1, 2)).T
    np.testing.assert_allclose(rows[["p15", "p50", "p85"]], expected, rtol=1e-12)
    np.testing.assert_allclose(rows["mean"], 0, atol=1e-5)


def test_a_dead_unit_is_counted(images) -> None:
    network = _network("none")
    network.conv_bias.assign(np.r_[np.full(3, -100.0), np.zeros(27)].astype(np.float32))
    rows = describe(network, images).set_index("stage")
    assert rows.loc["conv_relu", "dead"] == 3 / 30
    assert np.isnan(rows.loc["conv", "dead"])  # there is no ReLU yet that could be dead


def test_after_relu_the_steps_come_in_the_networks_order(images) -> None:
    network = _network("batch", position="after ReLU")
    summaries = look(network, images)
    assert list(summaries) == ["conv", "conv_relu", "conv_normalized"]
    x = network.forward(images, training=False, own_statistics=True)["conv_normalized"].numpy()
    _close(summaries["conv_normalized"].mean, x.astype(np.float64).mean((0, 1, 2)), 1.0, 1e-6)
    assert (summaries["conv_relu"].minimum >= 0).all()


@pytest.mark.parametrize("method", ["none", "batch", "layer", "group"])
def test_another_epsilon_is_the_network_built_with_it(method, images) -> None:
    config = TrainConfig(normalization=method, placement="conv and dense")
    built = build(config)
    found = describe(with_epsilon(built, 0.3), images, "hidden")
    expected = describe(build(replace(config, epsilon=0.3)), images, "hidden")
    assert found.equals(expected)
    assert describe(built, images, "hidden").equals(describe(build(config), images, "hidden"))


def test_looking_leaves_the_moving_statistics_alone(images) -> None:
    network = _network("batch")
    before = network.weights()
    describe(network, images)
    for name, array in network.weights().items():
        assert np.array_equal(array, before[name]), name


def test_equal_weights_share_the_convolutions_summary(images) -> None:
    memory = Memory()
    seen = {m: look(_network(m), images, "conv", memory, "batch") for m in ("none", "layer")}
    assert seen["none"]["conv"] is seen["layer"]["conv"]
    assert seen["none"]["conv_normalized"] is seen["none"]["conv"]
    other = look(_network("none", seed=1), images, "conv", memory, "batch")
    assert other["conv"] is not seen["none"]["conv"]
    elsewhere = look(_network("none"), images[:5], "conv", memory, "smaller batch")
    assert elsewhere["conv"].count < seen["none"]["conv"].count


def test_an_unknown_layer_is_a_clear_error(images) -> None:
    with pytest.raises(ValueError, match="conv, hidden"):
        describe(_network(), images, "logits")


@pytest.mark.parametrize(
    ("method", "shape"),
    [
        ("batch", (30,)),
        ("layer", (12,)),
        ("group", (12, 5)),
        ("instance", (12, 30)),
        ("rms", (12,)),
    ],
)
def test_divided_variances_are_what_stands_under_the_root(method, shape, images) -> None:
    network = _network(method)
    found = divided_variances(network, images)
    x = network.forward(images, training=False)["conv"].numpy().astype(np.float64)
    grouped = x.reshape(12, 28, 28, 5, 6)
    expected = {
        "batch": x.var((0, 1, 2)),
        "layer": x.var((1, 2, 3)),
        "group": grouped.var((1, 2, 4)),
        "instance": x.var((1, 2)),
        "rms": np.mean(x**2, (1, 2, 3)),
    }[method]
    assert found.shape == shape
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("epsilon", [1e-8, 1e-2, 1.0])
def test_the_shrink_factor_is_the_standard_deviation_that_is_left(epsilon, images) -> None:
    network = _network("batch", epsilon=epsilon)
    factors = shrink_factors(divided_variances(network, images), epsilon)
    x = network.forward(images, training=False, own_statistics=True)["conv_normalized"]
    np.testing.assert_allclose(factors, x.numpy().astype(np.float64).std((0, 1, 2)), rtol=1e-5)


def test_nothing_is_left_of_no_spread() -> None:
    assert shrink_factors(np.zeros(3), 0.0).tolist() == [0, 0, 0]


@pytest.mark.parametrize("method", ["none", "weight"])
def test_nothing_is_divided_without_a_normalization_of_activations(method, images) -> None:
    assert divided_variances(_network(method), images) is None


# ---- weights that a run had learned ----------------------------------------------------------


def _run(method: str, **changes: object) -> Run:
    """A run whose weights are noticeably not the first ones, at two epochs."""
    config = TrainConfig(normalization=method, **changes)
    rng = np.random.default_rng(5)
    weights = [
        {
            name: (array + rng.normal(0, 0.3, array.shape)).astype(np.float32)
            for name, array in SmallCNN.from_config(config).weights().items()
        }
        for _ in range(2)
    ]
    return Run(config, "drawn digits", "0" * 64, "finished", weights=weights)


@pytest.mark.parametrize("trained", ["none", "batch", "weight"])
@pytest.mark.parametrize("method", ["none", "batch", "weight", "layer"])
def test_every_method_sees_the_weights_of_the_run(trained, method, images) -> None:
    run = _run(trained, placement="conv and dense")
    source = SmallCNN.from_config(run.config)
    source.set_weights(run.weights[0])
    config = TrainConfig(normalization=method, placement="conv and dense", seed=9)
    network = build(config, run, epoch=0)
    expected = source.forward(images, training=False)["conv"].numpy()
    found = network.forward(images, training=False)["conv"].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(network.dense_kernel(), source.dense_kernel(), rtol=1e-4, atol=1e-6)
    if method == trained:
        for name, array in network.weights().items():
            assert np.array_equal(array, run.weights[0][name]), name


def test_an_epoch_has_its_own_weights(images) -> None:
    run = _run("none")
    kernels = [build(run.config, run, epoch).conv_kernel().numpy() for epoch in (0, 1)]
    assert not np.array_equal(*kernels)


def test_weights_that_do_not_fit_are_a_clear_error() -> None:
    with pytest.raises(ValueError, match="another shape"):
        build(TrainConfig(hidden_units=50), _run("none"))
    with pytest.raises(ValueError, match="kept no weights"):
        build(TrainConfig(), Run(TrainConfig(), "drawn digits", "0" * 64, "stopped"))


# ---- the memory ------------------------------------------------------------------------------


def test_memory_computes_once_for_all_who_wait() -> None:
    memory, started, go = Memory(), threading.Event(), threading.Event()
    calls = []

    def compute() -> int:
        calls.append(1)
        started.set()
        assert go.wait(10)
        return 42

    results: list[int] = []
    threads = [
        threading.Thread(target=lambda: results.append(memory.get("key", compute)))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    assert started.wait(10)
    go.set()
    for thread in threads:
        thread.join(10)
    assert results == [42] * 5 and len(calls) == 1


def test_memory_is_bounded_and_keeps_the_latest() -> None:
    memory = Memory(most=2)
    for key in ("a", "b", "a", "c"):
        memory.get(key, lambda key=key: key)
    assert memory.get("a", lambda: "again") == "a"
    assert memory.get("b", lambda: "again") == "again"


def test_memory_forgets_an_error() -> None:
    memory = Memory()
    with pytest.raises(ZeroDivisionError):
        memory.get("key", lambda: 1 / 0)
    assert memory.get("key", lambda: 1) == 1
