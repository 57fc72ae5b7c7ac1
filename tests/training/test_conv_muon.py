"""ConvMuon against a NumPy loop by the singular value decomposition, and what a user sees of it."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_wgsef
from tests.training.toys import data, live_counts
from tf_wgsef.errors import InputError
from tf_wgsef.training import ConvMuon

RATES = [0.5, 0.25, 0.125]
HALVES = keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)
TURNED = {"tall": (3, 3, 4, 5), "wide": (1, 1, 3, 8), "square": (1, 1, 4, 4)}
AS_BY_SGD = {
    "depthwise": (3, 3, 4, 1), "one filter": (1, 1, 4, 1), "one input": (1, 1, 1, 4),
    "dense": (6, 3), "in one dimension": (3, 4, 5), "bias": (5,), "alone": (),
}  # fmt: skip


def variables(shapes, seed=0):
    generator = np.random.default_rng(seed)
    return [keras.Variable(generator.normal(size=shape).astype("float32")) for shape in shapes]


def gradients(shapes, seed=1):
    generator = np.random.default_rng(seed)
    return [[generator.normal(size=shape).astype("float32") for shape in shapes] for _ in RATES]


def values(of):
    return [keras.ops.convert_to_numpy(one) for one in of]


def trained(optimizer, shapes):
    found = variables(shapes)
    for gradient in gradients(shapes):
        optimizer.apply([keras.ops.convert_to_tensor(one) for one in gradient], found)
    return values(found)


def loop(kernel, gradient_of_each, beta, ratio, steps):
    """The formula; Newton and Schulz as the polynomial that they apply to the singular values."""
    kernel = kernel.astype("float64")
    flat, average = kernel.reshape(-1, kernel.shape[-1]), 0.0
    for rate, gradient in zip(RATES, gradient_of_each, strict=True):
        gradient = gradient.astype("float64").reshape(flat.shape)
        average = beta * average + (1 - beta) * gradient
        left, sizes, right = np.linalg.svd((1 - beta) * gradient + beta * average, full_matrices=False)
        sizes = sizes / np.linalg.norm(sizes)
        for _ in range(steps):
            sizes = 3.4445 * sizes - 4.7750 * sizes**3 + 2.0315 * sizes**5
        direction = left * sizes @ right
        norm = np.linalg.norm(flat)
        moved = flat / norm - ratio * rate * direction / np.linalg.norm(direction)
        flat = norm * moved / np.linalg.norm(moved)
    return flat.reshape(kernel.shape)


@pytest.mark.parametrize(("beta", "ratio", "steps"), [(0.9, 0.3, 5), (0.0, 0.1, 1), (0.6, 1.0, 3)])
@pytest.mark.parametrize("name", TURNED)
def test_kernels_turn_as_the_formula_says(name, beta, ratio, steps):
    shape = TURNED[name]
    optimizer = ConvMuon(HALVES, beta, kernel_rate=ratio, ns_steps=steps, weight_decay=0.3)
    (got,) = trained(optimizer, [shape])
    (start,) = values(variables([shape]))
    each = [one for (one,) in gradients([shape])]
    np.testing.assert_allclose(got, loop(start, each, beta, ratio, steps), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(got), np.linalg.norm(start), rtol=1e-5)


@pytest.mark.parametrize("nesterov", [True, False])
def test_all_else_is_updated_as_by_sgd(nesterov):
    shapes = list(AS_BY_SGD.values())
    mine, theirs = (
        trained(one(HALVES, momentum=0.8, nesterov=nesterov, weight_decay=0.1), shapes)
        for one in (ConvMuon, keras.optimizers.SGD)
    )
    for got, expected in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_what_is_left_out_of_weight_decay_stays_out_and_kernels_are_out_anyway():
    found = variables([(2,), (2,), (3, 3, 2, 4)])
    before = values(found)
    optimizer = ConvMuon(0.5, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_list=[found[1]])
    optimizer.apply([keras.ops.zeros(one.shape) for one in found], found)
    after = values(found)
    np.testing.assert_allclose(after[0], 0.95 * before[0], rtol=1e-6)
    np.testing.assert_array_equal(after[1], before[1])
    np.testing.assert_allclose(after[2], before[2], rtol=1e-6)


def convolutions():
    """tanh has a gradient at 0, so that a dead filter would come back to life."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(8, 3, activation="tanh", name="h1"),
            layers.Conv2D(6, 3, activation="tanh", name="h2"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, name="out"),
        ]
    )


def sparse_convolutions(jit_compile="auto"):
    sparse = tf_wgsef.sparsify(convolutions(), sparsity=0.5)
    sparse.compile(ConvMuon(weight_decay=0.01, global_clipnorm=1.0), "mse", jit_compile=jit_compile)
    return sparse


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_level_is_met_and_what_is_dead_stays_dead(jit_compile):
    sparse = sparse_convolutions(jit_compile)
    x, y = data(sparse.model)
    sparse.fit(x, y, batch_size=8, epochs=4, verbose=0)
    assert live_counts(sparse.model, ("h1", "h2")) == {"h1": 4, "h2": 3}
    before = sparse.model.get_weights()
    sparse.fit(x, y, batch_size=8, epochs=2, verbose=0)
    for now, start in zip(sparse.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now == 0, start == 0)
    assert all((now != start).any() for now, start in zip(sparse.model.get_weights(), before, strict=True))


def test_a_saved_model_goes_on_as_if_it_had_not_been(tmp_path):
    sparse = sparse_convolutions()
    x, y = data(sparse.model)
    sparse.fit(x, y, epochs=2, verbose=0, shuffle=False)
    sparse.save(tmp_path / "sparse.keras")
    loaded = keras.models.load_model(tmp_path / "sparse.keras")
    assert loaded.optimizer.get_config() == sparse.optimizer.get_config()
    for model in (sparse, loaded):
        model.fit(x, y, epochs=2, verbose=0, shuffle=False)
    for mine, other in zip(sparse.model.get_weights(), loaded.model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)


def test_a_kernel_or_a_gradient_of_zeros_leaves_finite_weights():
    shape = (3, 3, 2, 4)
    start = variables([shape])[0]
    for kernel, gradient in (
        (np.zeros(shape), np.ones(shape)),
        (start, np.zeros(shape)),
        (start, 1e-30 * np.ones(shape)),
    ):
        variable = keras.Variable(keras.ops.cast(kernel, "float32"))
        before = values([variable])[0]
        ConvMuon().apply([keras.ops.convert_to_tensor(np.asarray(gradient, "float32"))], [variable])
        after = values([variable])[0]
        assert np.isfinite(after).all()
        np.testing.assert_allclose(np.linalg.norm(after), np.linalg.norm(before), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (dict(momentum=1.0), "momentum"), (dict(momentum="a"), "momentum"),
        (dict(kernel_rate=0.0), "kernel_rate"), (dict(kernel_rate=float("nan")), "kernel_rate"),
        (dict(ns_steps=0), "ns_steps"), (dict(ns_steps=1.5), "ns_steps"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(options, name):
    with pytest.raises(InputError, match=f"Expected `{name}`"):
        ConvMuon(**options)
