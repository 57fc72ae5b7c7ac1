import pathlib
import tempfile

import keras
import numpy as np
import pytest

import tf_wgsef
from tests.convert import models
from tests.convert.conftest import MODES
from tf_wgsef import convert as convert_stage
from tf_wgsef.convert import parity, predict
from tf_wgsef.errors import ConversionError, InputError

# "none", "float16": the bounds that convert itself holds. "dynamic", "int8": eight bits per weight
# or activation, 1/256 of each range, a few layers deep; seen: up to 0.013.
BOUNDS = {"none": 1e-4, "float16": 5e-2, "dynamic": 0.1, "int8": 0.1, "int16x8": 0.1}


@pytest.mark.parametrize("quantization", MODES)
@pytest.mark.parametrize("name", models.BUILDERS)
def test_file_computes_what_the_model_computes(converted, name, quantization):
    model, data, tflite = converted(name, quantization)
    found = parity(model, tflite, data, samples=40)
    assert found.samples == 40
    assert found.output_range > 0.05
    assert found.relative <= BOUNDS[quantization]
    assert found.mean_abs_diff <= found.max_abs_diff
    assert found.top1_agreement >= 0.85


def test_inputs_and_outputs_are_matched_by_name(converted):
    model, data, tflite = converted("same_shapes", "none")
    z, y = (np.asarray(out) for out in model([data["b"], data["a"]]))
    received = predict(tflite, data)
    assert set(received) == {"z", "y"}
    np.testing.assert_allclose(received["z"], z, atol=1e-5)
    np.testing.assert_allclose(received["y"], y, atol=1e-5)
    assert np.abs(z - y).max() > 0.1


def test_quantized_files_are_smaller():
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(256), keras.layers.Dense(4)])
    x = models.data_for(model)
    size = {q: len(tf_wgsef.convert(model, quantization=q, calibration=x)) for q in MODES}
    assert size["float16"] < 0.6 * size["none"]
    assert size["dynamic"] < 0.4 * size["none"]
    assert size["int8"] < 0.4 * size["none"]


@pytest.mark.parametrize(
    ("quantization", "io", "dtype"),
    [
        ("int8", None, np.int8),
        ("int8", "float32", np.float32),
        ("int16x8", None, np.int16),
        ("int16x8", "float32", np.float32),
    ],
)
def test_types_of_a_calibrated_file(quantization, io, dtype, digits):
    from ai_edge_litert.interpreter import Interpreter

    model, (x, _), _ = digits
    tflite = tf_wgsef.convert(model, quantization=quantization, calibration=x, io=io)
    interpreter = Interpreter(model_content=tflite)
    details = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    assert [d["dtype"] for d in details] == [dtype, dtype]


def test_bytes_are_the_same_each_time(digits):
    model, (x, _), _ = digits
    for quantization in ("none", "int8"):
        files = [tf_wgsef.convert(model, quantization=quantization, calibration=x) for _ in range(2)]
        assert files[0] == files[1]


def test_batch_is_fixed_and_any_number_of_samples_runs(converted):
    model, data, single = converted("sequential", "none")
    (x,) = data.values()
    triple = tf_wgsef.convert(model, batch_size=3)
    np.testing.assert_allclose(predict(triple, x), predict(single, x), atol=1e-5)


def _open_descriptors():
    folder = pathlib.Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_model_is_untouched_and_nothing_is_printed_or_left(digits, capfd, tmp_path, monkeypatch):
    model, (x, y), _ = digits
    weights = model.get_weights()
    optimizer = [variable.numpy() for variable in model.optimizer.variables]
    config = model.get_config()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    descriptors = _open_descriptors()
    capfd.readouterr()
    for quantization in MODES:
        tf_wgsef.convert(model, quantization=quantization, calibration=(x, y))
    assert capfd.readouterr() == ("", "")
    assert _open_descriptors() == descriptors
    # TensorFlow itself keeps one generated source file until the process ends.
    assert [p for p in tmp_path.iterdir() if "__autograph_" not in p.name] == []
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    for before, variable in zip(optimizer, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(before, variable.numpy())
    assert model.get_config() == config
    print("stdout works again")
    assert capfd.readouterr().out == "stdout works again\n"


def test_wrapped_model_is_unwrapped(digits):
    inner, (x, _), _ = digits

    class Wrapper(keras.Model):
        wraps_a_model = True

        def __init__(self, model):
            super().__init__()
            self.model = model

        def call(self, inputs):
            return self.model(inputs)

    assert parity(inner, tf_wgsef.convert(Wrapper(inner)), x).relative < 1e-4


X = np.ones((8, 4), np.float32)


def _with_weights(model, value):
    model.set_weights([np.full_like(w, value) for w in model.get_weights()])
    return model


def _dense():
    return keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(3, name="last")])


def _subclassed():
    class Own(keras.Model):
        def call(self, x):
            return x

    return Own()


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (_dense, {"quantization": "int4"}, "one of 'none'.*Received: quantization='int4'"),
        (_dense, {"quantization": "int8"}, "Expected `calibration`.*real inputs.*calibration=None"),
        (_dense, {"io": "uint8"}, "Received: io='uint8'"),
        (_dense, {"quantization": "int8", "io": "int16"}, "'int8' or 'float32' with quantization='int8'"),
        (_dense, {"quantization": ["int8"]}, "one of 'none'"),
        (_dense, {"quantization": {"last": "int8"}}, r"with a pattern '\*' for all other layers"),
        (_dense, {"quantization": {"*": "int4"}}, "{pattern: 'int8' or 'float'}"),
        (
            _dense,
            {"quantization": {"*": "int8", "frist": "float"}, "calibration": X},
            "'frist', which fits none",
        ),
        (_dense, {"quantization": "int8", "calibration": X, "sparse": True}, "'float16' with sparse=True"),
        (_dense, {"quantization": "int16x8"}, "Expected `calibration`"),
        (_dense, {"test": X}, "Expected `test` as a tuple"),
        (_dense, {"metadata": "cat"}, "Expected `metadata` to be a dict"),
        (_dense, {"metadata": {"labels": "cat"}}, "Expected `labels` as a list"),
        (_dense, {"metadata": {"labels": ["a\nb"]}}, "Expected `labels` as a list"),
        (_dense, {"metadata": {"normalization": {"mean": 0, "std": 0}}}, "std above 0"),
        (_dense, {"metadata": {"x": {1, 2}}}, "that JSON can hold"),
        (_dense, {"metadata": {"normalization": {"mean": [[0, 1], [2]], "std": 1}}}, "`normalization` as"),
        (_dense, {"metadata": {"normalization": {"mean": [], "std": []}}}, "`normalization` as"),
        (_dense, {"metadata": {"normalization": {"mean": 0, "std": 1e39}}}, "`normalization` as"),
        (_dense, {"quantization": {"*": ["int8"]}}, "`quantization` per layer as"),
        (_dense, {"metadata": {0: "cat", 1: "dog"}}, "names as keys. Received: the key 0"),
        (_dense, {"metadata": {"x": [{"y": {2: 3}}]}}, "names as keys. Received: the key 2"),
        (_dense, {"metadata": {"x": {None: 1, "b": 2}}}, "names as keys. Received: the key None"),
        (_dense, {"metadata": {"x": float("nan")}}, "that JSON can hold"),
        (_dense, {"batch_size": 0}, "Received: batch_size=0"),
        (_dense, {"calibration_samples": 0}, "Received: calibration_samples=0"),
        (_dense, {"tolerance": -1.0}, "Received: tolerance=-1.0"),
        (lambda: "model.keras", {}, "Expected a Keras 3 model"),
        (_subclassed, {}, "subclass of keras.Model"),
        (lambda: keras.Sequential([keras.layers.Dense(2)]), {}, "Expected a built model"),
        (lambda: _with_weights(_dense(), np.nan), {}, "variable '.*last/kernel' holds NaN"),
        (
            lambda: keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(2, 3)]),
            {},
            r"inputs of fixed shape.*\(None, None, None, 3\).*keras.Input\(\(64, 64, 3\)\)",
        ),
        (
            lambda: keras.Model(i := keras.Input((4,), name="i"), keras.ops.log(i)),
            {},
            "Expected finite outputs of the Keras model.*calibration=x_train",
        ),
    ],
)
def test_bad_input_is_one_clear_line(build, options, message):
    with pytest.raises(InputError, match=message) as caught:
        tf_wgsef.convert(build(), **options)
    assert "\n" not in str(caught.value)


def _stateful(wrap=lambda layer: layer):
    layers = [keras.Input(batch_shape=(1, 5, 3)), wrap(keras.layers.GRU(4, stateful=True, name="keeps"))]
    return keras.Sequential([*layers, keras.layers.Dense(2)], name="inner")


STATEFUL = {
    "keeps": _stateful,
    "inner/keeps": lambda: keras.Sequential([keras.Input(batch_shape=(1, 5, 3)), _stateful()]),
    "both": lambda: _stateful(lambda layer: keras.layers.Bidirectional(layer, name="both")),
}


@pytest.mark.parametrize("path", STATEFUL)
def test_states_that_outlive_a_call_are_refused_by_the_name_of_their_layer(path):
    with pytest.raises(ConversionError, match=f"layer '{path}' with stateful=True.*initial_state"):
        tf_wgsef.convert(STATEFUL[path]())


def test_a_state_that_is_an_input_and_an_output_goes_on():
    """What the message advises: five steps at once are what two and three are."""
    keras.utils.set_random_seed(0)

    def network(steps):
        x, state = keras.Input((steps, 3), name="x"), keras.Input((4,), name="state")
        out, new = gru(x, initial_state=state)
        return keras.Model([x, state], {"out": keras.layers.Identity(name="out")(out), "new": new})

    gru = keras.layers.GRU(4, return_state=True)
    x, zero = np.random.default_rng(0).normal(size=(1, 5, 3)).astype("float32"), np.zeros((1, 4), "float32")
    whole, first, second = (tf_wgsef.convert(network(steps)) for steps in (5, 2, 3))
    (expected, _), (_, state) = _out_and_state(whole, x, zero), _out_and_state(first, x[:, :2], zero)
    np.testing.assert_allclose(_out_and_state(second, x[:, 2:], state)[0], expected, atol=1e-6)


def _out_and_state(tflite, x, state):
    found = predict(tflite, {"x": x, "state": state})
    (name,) = set(found) - {"out"}
    return found["out"], found[name]


def test_keras_2_model_is_refused():
    stand_in = type("Sequential", (), {"__module__": "tf_keras.src.engine.sequential"})()
    with pytest.raises(InputError, match="Received: a model of Keras 2"):
        tf_wgsef.convert(stand_in)


def test_other_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ConversionError, match="backend='jax'.*KERAS_BACKEND=tensorflow"):
        tf_wgsef.convert(_dense())


def test_operation_that_does_not_convert_is_named(capfd):
    model = keras.Model(i := keras.Input((4,)), keras.ops.erfinv(keras.layers.Dense(3)(i)))
    with pytest.raises(ConversionError, match="'tf.Erfinv' op is neither") as caught:
        tf_wgsef.convert(model)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    print("stdout works again")
    assert capfd.readouterr().out == "stdout works again\n"


def test_loop_does_not_end_the_process():
    model = keras.Sequential([keras.Input((6, 4)), keras.layers.LSTM(3)])
    assert parity(model, tf_wgsef.convert(model)).relative < 1e-4
    with pytest.raises(ConversionError, match="without loops.*unroll=True"):
        tf_wgsef.convert(model, quantization="int8", calibration=np.ones((4, 6, 4)))


def _broken_export(monkeypatch, model):
    """Makes `convert` write the file of another model."""
    export = convert_stage._convert.export_tflite
    monkeypatch.setattr(
        convert_stage._convert,
        "export_tflite",
        lambda flat, specs, **options: export(model, specs, **options),
    )


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize("quantization", ["none", "float16", "dynamic"])
def test_file_of_nan_is_refused(monkeypatch, quantization, force):
    """What `from_concrete_functions` does in silence: a file without the weights answers NaN."""
    broken = _with_weights(_dense(), np.nan)
    _broken_export(monkeypatch, keras.Model(broken.inputs, broken.outputs))
    with pytest.raises(ConversionError, match="NaN or infinity in output 'last'.*Do not use"):
        tf_wgsef.convert(_dense(), quantization=quantization, force=force)


def test_file_of_other_weights_is_refused(monkeypatch):
    keras.utils.set_random_seed(0)
    model, other = _dense(), _dense()
    _broken_export(monkeypatch, keras.Model(other.inputs, other.outputs))
    with pytest.raises(ConversionError, match=r"within 0.001 of the model's output range.*tol"):
        tf_wgsef.convert(model)
    assert tf_wgsef.convert(model, tolerance=100).record.problem is None
    forced = tf_wgsef.convert(model, force=True)
    assert "within 0.001" in forced.record.problem and "FORCED although" in forced.report()


def test_tolerance_holds_in_every_mode(digits):
    model, (x, _), _ = digits
    with pytest.raises(ConversionError, match="Expected the 'int8' file within 1e-06"):
        tf_wgsef.convert(model, quantization="int8", calibration=x, tolerance=1e-6)


@pytest.mark.parametrize("quantization", ["dynamic", "int8"])
def test_file_that_stands_still_is_refused(monkeypatch, quantization):
    keras.utils.set_random_seed(0)
    still = _with_weights(_dense(), 0.0)
    _broken_export(monkeypatch, keras.Model(still.inputs, still.outputs))
    x = np.random.default_rng(0).standard_normal((32, 4))
    with pytest.raises(ConversionError, match="does not change with the inputs"):
        tf_wgsef.convert(_dense(), quantization=quantization, calibration=x)


class Doubled(keras.Model):
    def call(self, x):
        return 2 * super().call(x)


def test_a_model_whose_call_says_more_than_its_graph_is_refused():
    inputs = keras.Input((4,))
    with pytest.raises(tf_wgsef.WGSEFError, match="overrides call"):
        tf_wgsef.convert(Doubled(inputs, keras.layers.Dense(2)(inputs)))
