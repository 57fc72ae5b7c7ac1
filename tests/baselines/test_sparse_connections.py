"""SparseConnections2D against loops over its links."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import tf_wgsef
from tf_wgsef.baselines import SparseConnections2D, plain_convolutions, with_sparse_connections
from tf_wgsef.baselines._links import add_links
from tf_wgsef.errors import InputError

OPTIMIZERS = {
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.1),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "lion": lambda: keras.optimizers.Lion(0.01),
}


def built(filters=6, inputs=8, **options):
    layer = SparseConnections2D(filters, 3, **{"density": 0.25, "seed": 1, **options})
    layer.build((None, 9, 9, inputs))
    if layer.use_bias:
        layer.bias.assign(np.random.default_rng(9).normal(size=filters))
    return layer


def numbers(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def convolve(x, kernel, bias, sees):
    """'valid', step 1: output o sums over the inputs that it sees, kernel[..., i, o] by ``sees(o)``."""
    height, width = (size - side + 1 for size, side in zip(x.shape[1:3], kernel.shape[:2], strict=True))
    result = np.zeros((len(x), height, width, kernel.shape[-1])) + bias
    for o in range(kernel.shape[-1]):
        for row, channel in sees(o):
            for i, j in np.ndindex(*kernel.shape[:2]):
                result[..., o] += x[:, i : i + height, j : j + width, channel] * kernel[i, j, row, o]
    return result


def masks(layer):
    return np.asarray(ops.convert_to_numpy(layer.links)) > 0


@pytest.mark.parametrize(
    ("inputs", "outputs", "density"),
    [(8, 6, 0.25), (8, 6, 0.01), (3, 7, 0.5), (16, 2, 0.3), (5, 5, 1.0), (1, 4, 0.1), (12, 4, 0.25)],
)
@pytest.mark.parametrize("seed", range(3))
def test_every_output_has_its_number_of_inputs_and_no_input_is_left_out_in_vain(
    inputs, outputs, density, seed
):
    links = masks(built(outputs, inputs, density=density, seed=seed))
    number = max(1, round(density * inputs))
    assert links.sum(0).tolist() == [number] * outputs
    assert links.any(1).sum() == min(inputs, number * outputs)


def test_links_are_random_and_given_by_the_seed():
    first, again, other = (masks(built(32, 64, seed=seed)) for seed in (3, 3, 4))
    assert (first == again).all() and (first != other).any()
    together = first[:, :, None] & first[:, None, :]
    # Two outputs share 16 · 16 / 64 = 4 of their 16 inputs on average.
    assert together.sum(0)[~np.eye(32, dtype=bool)].mean() == pytest.approx(4, abs=0.5)


def test_without_a_seed_one_is_drawn_and_kept():
    first, other = SparseConnections2D(4, 3, 0.5), SparseConnections2D(4, 3, 0.5)
    assert first.seed != other.seed
    assert SparseConnections2D.from_config(first.get_config()).seed == first.seed


@pytest.mark.parametrize("seed", range(10))
def test_growing_links_keeps_those_there_are(seed):
    links = np.zeros((10, 3), bool)
    links[0] = True  # all see the same one
    for number in (1, 2, 4, 5, 10):
        grown = add_links(links, number, seed)
        assert (grown | ~links).all() and grown.sum(0).tolist() == [number] * 3
        # As many inputs as the new links can reach.
        new = 3 * number - int(links.sum())
        assert grown.any(1).sum() == min(10, links.any(1).sum() + new)
        links = grown


@pytest.mark.parametrize("use_bias", [True, False])
def test_the_output_is_that_of_a_loop_over_the_links(use_bias):
    layer, x = built(use_bias=use_bias), numbers((2, 9, 9, 8))
    layer._kernel.assign(numbers((3, 3, 8, 6), 5))  # masked weights too: they must not count
    links = masks(layer)
    bias = layer.bias.numpy() if use_bias else 0
    expected = convolve(
        x, numbers((3, 3, 8, 6), 5), bias, lambda o: [(i, i) for i in range(8) if links[i, o]]
    )
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, atol=1e-4)
    np.testing.assert_allclose(ops.convert_to_numpy(layer.to_conv2d()(x)), expected, atol=1e-4)


def test_the_grouped_output_is_that_of_a_loop_over_the_groups():
    layer, x = built(12, grouped=True), numbers((2, 9, 9, 8))
    order, kernel = layer.order.numpy(), layer.kernel.numpy()
    assert kernel.shape == (3, 3, 2, 12) and sorted(order) == list(range(8)) and list(order) != sorted(order)
    expected = convolve(
        x, kernel, layer.bias.numpy(), lambda o: [(i, order[2 * (o // 3) + i]) for i in range(2)]
    )
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, atol=1e-4)
    np.testing.assert_allclose(ops.convert_to_numpy(layer.to_conv2d()(x)), expected, atol=1e-4)


def test_initial_weights_are_scaled_for_the_inputs_that_a_filter_has():
    layer = built(64, 64, kernel_initializer=keras.initializers.HeNormal(seed=0), density=0.125)
    kernel, links = layer.kernel.numpy(), masks(layer)
    assert not kernel[:, :, ~links].any()
    assert kernel[:, :, links].std() == pytest.approx(np.sqrt(2 / (9 * 8)), rel=0.05)
    assert isinstance(layer.kernel_initializer, keras.initializers.HeNormal)


def network(**options):
    return keras.Sequential(
        [
            keras.Input((9, 9, 8)),
            SparseConnections2D(8, 3, **{"density": 0.25, "seed": 1, **options}, name="sparse"),
            layers.BatchNormalization(name="bn"),
            layers.ReLU(name="relu"),
            layers.Conv2D(4, 3, name="next"),
            layers.GlobalAveragePooling2D(name="gap"),
        ]
    )


def fit(model, optimizer="adam", epochs=2, **compiled):
    model.compile(optimizer, "mse", **compiled)
    model.fit(numbers((16, 9, 9, 8)), numbers((16, 4), 1), batch_size=8, epochs=epochs, verbose=0)


def test_gradients_of_masked_weights_are_zero():
    import tensorflow as tf

    model = network(kernel_regularizer=keras.regularizers.L1L2(0.1, 0.1))
    layer = model.get_layer("sparse")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(numbers((4, 9, 9, 8)), training=True) ** 2) + sum(model.losses)
    gradient = tape.gradient(loss, layer.kernel.value).numpy()
    assert not gradient[:, :, ~masks(layer)].any()
    assert (gradient[:, :, masks(layer)] != 0).all()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_optimizer_revives_a_masked_weight(name):
    model = network(kernel_constraint=keras.constraints.MaxNorm(1.0, axis=[0, 1, 2]))
    layer = model.get_layer("sparse")
    before = layer.kernel.numpy()
    layer.kernel.assign(before + 0.1)  # masked ones too, as a file may bring them
    fit(model, OPTIMIZERS[name]())
    kernel, links = layer.kernel.numpy(), masks(layer)
    assert not kernel[:, :, ~links].any()
    assert (kernel[:, :, links] != before[:, :, links]).mean() > 0.9
    assert (np.sqrt((kernel**2).sum((0, 1, 2))) < 1 + 1e-5).all()  # the caller's constraint holds too


def test_new_links_start_at_zero_and_learn():
    model = network()
    layer, x = model.get_layer("sparse"), numbers((2, 9, 9, 8))
    fit(model)
    before, output = masks(layer), model.predict(x, verbose=0)
    layer.kernel.assign(
        layer.kernel.numpy() + ~before[None, None] * 0.5
    )  # somebody's values on masked weights
    layer.grow(0.5)
    added = masks(layer) & ~before
    assert masks(layer).sum(0).tolist() == [4] * 8 and (masks(layer) | ~before).all()
    np.testing.assert_array_equal(model.predict(x, verbose=0), output)
    assert not layer.kernel.numpy()[:, :, added].any()
    model.fit(numbers((16, 9, 9, 8)), numbers((16, 4), 1), epochs=1, verbose=0)  # not compiled again
    assert (layer.kernel.numpy()[:, :, added] != 0).all()


@pytest.mark.parametrize("options", [{}, dict(grouped=True), dict(use_bias=False), dict(density=0.01)])
def test_save_and_load(tmp_path, options):
    model = network(**options)
    fit(model, epochs=1)
    layer = model.get_layer("sparse")
    if not options.get("grouped"):
        layer.grow(0.5)  # links that the seed alone does not give
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    other = network(**{**options, "seed": 2})
    other.load_weights(tmp_path / "m.weights.h5")
    x = numbers((3, 9, 9, 8), 7)
    for found in (keras.models.load_model(tmp_path / "m.keras"), other):
        np.testing.assert_array_equal(found.predict(x, verbose=0), model.predict(x, verbose=0))
    loaded = keras.models.load_model(tmp_path / "m.keras").get_layer("sparse")
    assert loaded.get_config() == layer.get_config()


def test_a_trained_model_becomes_plain_convolutions_that_strip_and_convert_read():
    inner = network()
    inputs = keras.Input((9, 9, 3))
    x = SparseConnections2D(8, 1, 0.4, name="stem")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(inner(x)))
    inner.get_layer("sparse").trainable = False
    for one in (inner, model):  # a loss that Keras cannot make again
        one.compile("adam", lambda y, predicted: (y - predicted) ** 2)
    plain = plain_convolutions(model)
    x = numbers((4, 9, 9, 3))
    np.testing.assert_allclose(plain.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)
    assert {type(layer) for layer in plain.layers[2].layers[:1]} == {layers.Conv2D}
    trainable = [layer.trainable for layer in plain.layers[2].layers]
    assert trainable == [layer.trainable for layer in inner.layers] == [False, True, True, True, True]
    groups = tf_wgsef.build_groups(plain)
    factors = np.ones(groups.num_groups)
    factors[np.flatnonzero(groups.layer_of == groups.layers.index(f"{inner.name}/sparse"))[2:]] = 0
    groups.scale(plain, factors)
    result = tf_wgsef.strip(plain)
    # Two filters are left, and what neither of them sees goes in front of them.
    seen = masks(inner.get_layer("sparse"))[:, :2].any(1)
    assert result.kept[f"{inner.name}/sparse"] == 2 and result.kept["stem"] == seen.sum() < 8
    assert tf_wgsef.convert(result.model)[4:8] == b"TFL3"


def test_layers_and_models_that_are_applied_twice_are_copied_once():
    sparse = SparseConnections2D(3, 3, 0.4, padding="same", name="sparse")
    inner = keras.Sequential([keras.Input((6, 6, 3)), sparse, layers.ReLU()], name="inner")
    inputs = keras.Input((6, 6, 3))
    model = keras.Model(inputs, sparse(inner(inner(inputs))))
    plain = plain_convolutions(model)
    assert len(plain.weights) == 2  # a kernel and a bias
    x = numbers((2, 6, 6, 3))
    np.testing.assert_allclose(plain.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)


def test_the_grouped_form_multiplies_by_its_share_only():
    groups = {share: built(16, 16, density=share, grouped=share < 1) for share in (1.0, 0.25)}
    sizes = {share: int(np.prod(layer.kernel.shape)) for share, layer in groups.items()}
    assert sizes[0.25] == 0.25 * sizes[1.0]
    files = {grouped: tf_wgsef.convert(network(grouped=grouped, density=0.5)) for grouped in (False, True)}
    assert len(files[True]) < len(files[False])


def test_channels_first_reads_the_other_axis():
    layer = SparseConnections2D(4, 3, 0.5, data_format="channels_first")
    layer.build((None, 8, 9, 9))
    assert layer.links.shape == (8, 4) and layer.to_conv2d().kernel.shape == (3, 3, 8, 4)


def on_jax():
    """Trains, grows, trains on; what the layer computes stays that of its links."""
    assert keras.backend.backend() == "jax"
    model = network()
    layer = model.get_layer("sparse")
    fit(model, OPTIMIZERS["momentum"]())
    assert not np.asarray(layer.kernel)[:, :, ~masks(layer)].any()
    before = masks(layer)
    layer.grow(0.5)
    model.fit(numbers((16, 9, 9, 8)), numbers((16, 4), 1), epochs=1, verbose=0)
    kernel, links = np.asarray(layer.kernel), masks(layer)
    assert not kernel[:, :, ~links].any() and (kernel[:, :, links & ~before] != 0).all()
    fit(network(grouped=True))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SparseConnections2D(4, 3, 0.0), r"`density` in \(0, 1\].* Received: density=0.0"),
        (lambda: SparseConnections2D(4, 3, 1.5), "Received: density=1.5"),
        (lambda: SparseConnections2D(4, 3, True), "Received: density=True"),
        (lambda: SparseConnections2D(4, 3, 0.5, seed=-1), "Received: seed=-1"),
        (lambda: SparseConnections2D(4, 3, 0.5, groups=2), "no `groups`"),
        (lambda: SparseConnections2D(4, 3, 0.3, grouped=True), "1/groups .* Received: density=0.3"),
        (
            lambda: SparseConnections2D(6, 3, 0.25, grouped=True),
            "groups share equally. Received: filters=6",
        ),
        (lambda: built(8, 6, grouped=True), "4 groups share equally. Received: 6"),
        (lambda: built().grow(0.1), "leaves each output its 2 of 8 inputs. Received: density=0.1"),
        (lambda: built(8, grouped=True).grow(0.5), "which is grouped"),
        (lambda: SparseConnections2D(4, 3, 0.5).grow(0.6), "which is not built"),
        (lambda: SparseConnections2D(4, 3, 0.5).to_conv2d(), "not built"),
    ],
)
def test_bad_input_gets_one_clear_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("grouped", [False, True])
def test_a_model_with_sparse_connections_costs_its_share_if_grouped(grouped):
    layers = [
        keras.layers.Conv2D(8, 3, name="image"),  # of three inputs: stays dense
        keras.layers.Conv2D(6, 3, name="a"),
        keras.layers.Conv2D(7, 3, name="b"),  # six inputs and seven filters share no groups
        keras.layers.Flatten(),
        keras.layers.Dense(2),
    ]
    model = keras.Sequential([keras.Input((10, 10, 3)), *layers])
    sparse = with_sparse_connections(model, 0.5, grouped=grouped)
    kinds = [type(sparse.get_layer(name)).__name__ for name in ("image", "a", "b")]
    assert kinds == ["Conv2D", "SparseConnections2D", "Conv2D" if grouped else "SparseConnections2D"]
    found, dense = tf_wgsef.profile(sparse), tf_wgsef.profile(model)
    saved = 36 * 9 * 8 * 6 // 2 if grouped else 0  # 6x6 positions of the layer a
    assert dense.macs - found.macs == saved and not found.unknown
    x = np.random.default_rng(0).normal(size=(2, 10, 10, 3))
    assert np.isfinite(sparse.predict(x, verbose=0)).all()


def test_a_model_without_such_convolutions_is_said_to_have_none():
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(5, 3), keras.layers.Flatten()])
    with pytest.raises(InputError, match="a Conv2D of at least 4 input channels"):
        with_sparse_connections(model, 0.5)
    with pytest.raises(InputError, match="`density` in"):
        with_sparse_connections(keras.Sequential([keras.Input((8, 8, 4)), keras.layers.Conv2D(5, 3)]), 0.0)
