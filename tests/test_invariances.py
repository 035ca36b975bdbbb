"""The layer-norm paper's table of invariances, computed."""

import numpy as np
import pytest

from pages.lab import invariances

RNG = np.random.default_rng(2)
DENSE = RNG.normal(1.0, 1.0, (12, 20)), RNG.normal(0.0, 0.1, (20, 10))
CONVOLUTION = RNG.normal(1.0, 1.0, (6, 9, 9, 2)), RNG.normal(0.0, 0.1, (5, 5, 2, 10))
ON_DENSE = [method for method in invariances.HOLDS if method != "instance"]


def test_the_papers_table_comes_out_for_a_dense_layer():
    rows = invariances.table(*DENSE, epsilon=0.0)
    assert len(rows) == 3 * 6
    for row in rows:
        assert row.paper is not None
        assert (row.deviation < 1e-12) == row.paper, row
        assert row.paper or row.deviation > 0.01, row


@pytest.mark.parametrize(
    ("layer", "methods"),
    [
        pytest.param(DENSE, ON_DENSE, id="dense"),
        pytest.param(CONVOLUTION, list(invariances.HOLDS), id="convolution"),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_each_cell_is_exact_or_clearly_not(layer, methods, seed):
    for row in invariances.table(*layer, methods=methods, groups=2, seed=seed):
        assert (row.deviation < 1e-12) == row.holds, row
        assert row.holds or row.deviation > 0.01, row


def test_re_centering_filters_is_where_a_convolution_leaves_the_paper():
    rows = invariances.table(*CONVOLUTION, methods=list(invariances.HOLDS))
    differ = [
        (row.method, row.transformation) for row in rows if row.paper not in (None, row.holds)
    ]
    assert differ == [("layer", "all filters re-centered")]


def test_epsilon_turns_exact_into_approximate():
    def rescaled(epsilon):
        rows = invariances.table(*DENSE, epsilon=epsilon, methods=["batch", "layer"])
        return [row.deviation for row in rows if row.transformation == "all weights re-scaled"]

    for exact, near, far in zip(*(rescaled(e) for e in (0.0, 1e-5, 1e-2)), strict=True):
        assert exact < 1e-12 < near < 1e-3 < far


def test_an_unknown_method_gets_a_sentence():
    with pytest.raises(ValueError, match="no table of invariances for tf_batch"):
        invariances.table(*DENSE, methods=["batch", "tf_batch"])


def test_what_is_zero_before_and_after_has_not_changed():
    x, w = np.ones((1, 8)), np.random.default_rng(0).standard_normal((8, 5))
    rows = invariances.table(x, w, epsilon=1e-5, methods=["batch"])
    assert [row.deviation for row in rows] == [0.0] * len(invariances.TRANSFORMATIONS)


def test_padding_breaks_what_re_centered_data_leave_alone(drawn):
    images = drawn.train_images[:16] / 255
    kernel = np.random.default_rng(0).normal(0, 0.1, (5, 5, 1, 8))
    for method in ("batch", "instance"):
        found = {
            padding: {
                row.transformation: row.deviation
                for row in invariances.table(images, kernel, 0.0, [method], padding=padding)
            }
            for padding in ("VALID", "SAME")
        }
        assert found["VALID"]["all data re-centered"] < 1e-9
        assert found["SAME"]["all data re-centered"] > 1e-3
        assert found["SAME"]["all weights re-scaled"] < 1e-9
