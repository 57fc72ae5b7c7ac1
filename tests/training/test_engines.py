"""Several devices and several processes give what one device gives on the same global batches."""

import json
import os
import pathlib
import sys
import time
import traceback

import keras
import numpy as np
import pytest

import tf_wgsef
from tests import models
from tests.training.processes import ProcessFailed, reserved_port, run_alone, run_together
from tests.training.toys import EachEpoch, data, live_counts, mlp, sparse_mlp
from tf_wgsef.errors import InputError

BATCH = 8
LEVEL = {"h1": 4, "h2": 3}


def trained(x, y, batch_size=BATCH, *, optimizer=None, callbacks=None, **compiled):
    """``sparse_mlp`` after 4 epochs of ``fit``, always from the same start on the same batches."""
    keras.utils.set_random_seed(0)
    sparse = sparse_mlp(optimizer or keras.optimizers.SGD(0.05, momentum=0.9), compiled=compiled)
    options = dict(batch_size=batch_size, epochs=4, verbose=0, shuffle=False)
    sparse.fit(x, y, **options, callbacks=callbacks)
    return sparse


def save(folder, name, sparse, **facts):
    """Writes what a process found: weights, live groups by a loop over them, and ``facts``."""
    facts["live"] = live_counts(sparse.model, LEVEL)
    facts["live_groups"] = sparse.live_groups()
    np.savez(pathlib.Path(folder) / f"{name}.npz", *sparse.model.get_weights())
    (pathlib.Path(folder) / f"{name}.json").write_text(json.dumps(facts))


def load(folder, name):
    """Returns weights and facts."""
    with np.load(folder / f"{name}.npz") as saved:
        return [saved[key] for key in saved.files], json.loads((folder / f"{name}.json").read_text())


def assert_same_training(one, other, atol=1e-5):
    """Weights within ``atol``, the same groups alive and the same zeros, at the level."""
    for mine, expected in zip(one[0], other[0], strict=True):
        np.testing.assert_allclose(mine, expected, rtol=0, atol=atol)
        np.testing.assert_array_equal(mine == 0, expected == 0)
    assert one[1]["live"] == other[1]["live"] == LEVEL
    assert one[1]["live_groups"] == LEVEL


def test_a_process_that_hangs_or_fails_is_a_failure_with_what_it_wrote():
    with pytest.raises(ProcessFailed, match="still running") as hung:
        run_alone(time.sleep, 600, timeout=1)
    assert hung.value.codes == [None]
    with pytest.raises(ProcessFailed, match="invalid literal for int") as failed:
        run_together([(time.sleep, 600), (int, "no number")])
    assert failed.value.codes == [None, 1]


# --- tf.distribute.MirroredStrategy ---

MIRRORED = {
    "graph": ("float32", False),
    "eager": ("float32", True),
    "mixed_float16": ("mixed_float16", False),
}


def replicas_are_equal(variables) -> bool:
    return all(
        np.array_equal(*(np.array(replica) for replica in variable.value.values)) for variable in variables
    )


def in_two_mirrored_devices(folder):
    """What the process does that sees two logical CPUs; one strategy serves all, as TensorFlow wants it."""
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    x, y = data()
    for name, (policy, eager) in MIRRORED.items():
        keras.config.set_dtype_policy(policy)
        save(folder, f"{name}_one", trained(x, y, run_eagerly=eager))
        # At the end of each epoch: what chooses the survivors writes one replica's weights to all.
        equal = EachEpoch(lambda sparse: replicas_are_equal(sparse.weights))
        with strategy.scope():
            sparse = trained(x, y, run_eagerly=eager, callbacks=[equal])
        save(folder, f"{name}_two", sparse, equal=equal.found)
    keras.config.set_dtype_policy("float32")
    custom_loop_on(strategy, folder, x, y)
    numbers_of(strategy, folder)
    wrong_scopes(strategy, folder)


def custom_loop_on(strategy, folder, x, y):
    """The loop of docs/training.md with ``strategy.run`` around the step."""
    import tensorflow as tf

    with strategy.scope():
        keras.utils.set_random_seed(0)
        optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
        sparse = sparse_mlp(optimizer)
        optimizer.build(sparse.trainable_variables)

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((sparse(x, training=True) - y) ** 2) / (2 * BATCH)
        gradients = tape.gradient(loss, sparse.trainable_variables)
        with sparse.proximal_step(optimizer):
            optimizer.apply(gradients, sparse.trainable_variables)

    run = tf.function(lambda x, y: strategy.run(step, args=(x, y)))
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH)
    equal = []
    sparse.begin_ramp(4)
    for epoch in range(4):
        sparse.begin_epoch(epoch, 4)
        for batch in strategy.experimental_distribute_dataset(batches):
            run(*batch)
        equal.append(replicas_are_equal(sparse.weights))
    sparse.freeze()
    save(folder, "loop_two", sparse, equal=equal)


def numbers_of(strategy, folder):
    """What reads a variable as a number or writes one, and a model with batch norm, stripped and saved."""
    with strategy.scope():
        sparse = tf_wgsef.sparsify(models.batch_norm_chain(), sparsity=0.5)
        sparse.compile(keras.optimizers.SGD(0.05), "mse")
    found = {"all": sparse.live_groups(), "frozen": [sparse.frozen]}
    sparse.groups.scale(sparse.model, (np.arange(14) % 6 > 0).astype("float32"))
    found["scaled"] = sparse.live_groups()
    sparse.fit(*data(sparse.model), batch_size=BATCH, epochs=2, verbose=0)
    found["kept"] = tf_wgsef.strip(sparse).kept
    found["frozen"].append(sparse.frozen)
    path = str(pathlib.Path(folder) / "mirrored.keras")
    sparse.save(path)
    found["loaded"] = keras.models.load_model(path).live_groups()
    with strategy.scope():
        found["loaded_in_scope"] = keras.models.load_model(path).live_groups()
    (pathlib.Path(folder) / "numbers.json").write_text(json.dumps(found))


def wrong_scopes(strategy, folder):
    found = {}
    with strategy.scope():
        inside = mlp()
    for name, model, scope in (
        ("wrapped_outside", inside, None),
        ("wrapped_inside", mlp(), strategy),
    ):
        try:
            with scope.scope() if scope else keras.name_scope("none"):
                tf_wgsef.sparsify(model, sparsity=0.5)
        except InputError as error:
            found[name] = str(error)
    (pathlib.Path(folder) / "errors.json").write_text(json.dumps(found))


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mirrored")
    run_alone(in_two_mirrored_devices, str(folder), KERAS_BACKEND="tensorflow")
    return folder


@pytest.mark.parametrize("name", MIRRORED)
def test_two_mirrored_devices_train_as_one(mirrored, name):
    one, two = load(mirrored, f"{name}_one"), load(mirrored, f"{name}_two")
    # Each replica rounds its gradients to float16, 1e-3 of their size, before they are added.
    assert_same_training(two, one, atol=2e-3 if name == "mixed_float16" else 1e-5)


@pytest.mark.parametrize("name", [*MIRRORED, "loop"])
def test_replicas_are_the_same_bit_for_bit(mirrored, name):
    assert load(mirrored, f"{name}_two")[1]["equal"] == [True] * 4


def test_a_custom_loop_on_two_mirrored_devices_trains_as_fit_on_one(mirrored):
    assert_same_training(load(mirrored, "loop_two"), load(mirrored, "graph_one"))


def test_what_reads_and_writes_numbers_does_so_on_mirrored_variables(mirrored):
    found = json.loads((mirrored / "numbers.json").read_text())
    half = {"conv1": 3, "conv2": 4}
    assert found.pop("all") == {"conv1": 6, "conv2": 8}
    assert found.pop("scaled") == {"conv1": 5, "conv2": 6}  # groups 0, 6 and 12 are scaled by 0
    assert {layer: found["kept"][layer] for layer in half} == half
    assert found.pop("kept")["logits"] == 3
    assert found == {"frozen": [False, True], "loaded": half, "loaded_in_scope": half}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("wrapped_outside", "mlp/h1/kernel made in that of a MirroredStrategy, wrapped outside any scope"),
        ("wrapped_inside", "h1/kernel made outside any scope, wrapped in that of a MirroredStrategy"),
    ],
    ids=["wrapped_outside", "wrapped_inside"],
)
def test_a_model_and_its_wrapper_in_different_scopes_are_one_clear_error(mirrored, name, text):
    error = json.loads((mirrored / "errors.json").read_text())[name]
    assert text in error
    assert "inside `with strategy.scope():`" in error


# --- keras.distribution on JAX ---

PARALLEL = {
    "jit": dict(),
    "steps_per_execution": dict(steps_per_execution=2),
    "accumulation": dict(),
}
NO_TENSORFLOW = ("tensorflow",)


def devices_of(sparse) -> list[int]:
    """Over how many devices the variables are spread, of all of them."""
    return sorted({len(weight.value.sharding.device_set) for weight in sparse.weights})


def in_two_jax_devices(folder):
    """What the process does whose host counts as two devices."""
    x, y = data()
    for count, distribution in (("one", None), ("two", keras.distribution.DataParallel())):
        keras.distribution.set_distribution(distribution)
        for name, compiled in PARALLEL.items():
            steps = 2 if name == "accumulation" else None
            optimizer = keras.optimizers.SGD(0.05, momentum=0.9, gradient_accumulation_steps=steps)
            sparse = trained(x, y, optimizer=optimizer, **compiled)
            save(folder, f"{name}_{count}", sparse, devices=devices_of(sparse))
    stripped = tf_wgsef.strip(sparse)
    (pathlib.Path(folder) / "kept.json").write_text(json.dumps(stripped.kept))


@pytest.fixture(scope="module")
def parallel(tmp_path_factory):
    pytest.importorskip("jax")
    folder = tmp_path_factory.mktemp("parallel")
    flags = "--xla_force_host_platform_device_count=2"
    run_alone(in_two_jax_devices, str(folder), hidden=NO_TENSORFLOW, KERAS_BACKEND="jax", XLA_FLAGS=flags)
    return folder


@pytest.mark.parametrize("name", PARALLEL)
def test_two_jax_devices_train_as_one(parallel, name):
    one, two = load(parallel, f"{name}_one"), load(parallel, f"{name}_two")
    assert one[1]["devices"] == [1]
    assert two[1]["devices"] == [2]
    assert_same_training(two, one)


def test_a_model_on_two_jax_devices_is_stripped(parallel):
    assert json.loads((parallel / "kept.json").read_text()) == {"h1": 4, "h2": 3, "out": 2}


def in_one_of_two_processes(folder, port, number):
    """What each of two processes does: it trains on its half of each global batch, as Keras expects."""
    keras.distribution.initialize(f"127.0.0.1:{port}", num_processes=2, process_id=number)
    # Sharding by Keras itself is for tf.data alone.
    distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
    keras.distribution.set_distribution(distribution)
    half = BATCH // 2
    x, y = (one.reshape(-1, 2, half, one.shape[-1])[:, number].reshape(-1, one.shape[-1]) for one in data())
    sparse = trained(x, y, batch_size=half)
    save(folder, f"process_{number}", sparse, devices=devices_of(sparse), samples=len(x))


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    pytest.importorskip("jax")
    folder = tmp_path_factory.mktemp("processes")
    with reserved_port() as port:
        calls = [(in_one_of_two_processes, str(folder), port, number) for number in (0, 1)]
        run_together(calls, hidden=NO_TENSORFLOW, KERAS_BACKEND="jax", XLA_FLAGS="")
    return [load(folder, f"process_{number}") for number in (0, 1)]


def test_two_jax_processes_train_as_one(two_processes, parallel):
    first, second = two_processes
    for one, other in zip(first[0], second[0], strict=True):
        np.testing.assert_array_equal(one, other)
    for process in two_processes:
        assert process[1]["devices"] == [2]
        assert process[1]["samples"] == 16  # of 32
        assert_same_training(process, load(parallel, "jit_one"))


# --- tf.distribute.MultiWorkerMirroredStrategy ---


CANNOT_FIT = 3


class KerasCannotFit(AssertionError):
    """Keras itself fails to fit a plain model."""


def as_one_of_two_workers(ports, index):
    """Fits a plain Keras model, nothing of ours in it."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    with strategy.scope():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        model.compile("sgd", "mse")
    try:
        model.fit(*data(), batch_size=BATCH, epochs=1, verbose=0)
    except Exception:  # noqa: BLE001 - whatever it is, it comes out of Keras
        traceback.print_exc()
        sys.exit(CANNOT_FIT)


@pytest.mark.xfail(
    strict=True,
    raises=KerasCannotFit,
    reason="Keras 3.15 cannot fit under MultiWorkerMirroredStrategy; once it can, test ours there",
)
def test_keras_fits_a_plain_model_under_multi_worker_mirrored_strategy():
    with reserved_port() as first, reserved_port() as second:
        ports = [first, second]  # free again from here on: TensorFlow shares no port
    calls = [(as_one_of_two_workers, ports, index) for index in (0, 1)]
    try:
        run_together(calls, KERAS_BACKEND="tensorflow")
    except ProcessFailed as failed:
        if set(failed.codes) <= {CANNOT_FIT, None}:
            raise KerasCannotFit(str(failed)) from failed
        raise
