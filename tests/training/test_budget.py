"""Budgets: what the stripped model may cost, met by the true cost."""

import keras
import numpy as np
import pytest

import tf_wgsef
from tests import models
from tests.training.toys import data, live_counts, mlp
from tf_wgsef import LatencyTable, LayerLatency
from tf_wgsef.errors import InputError

ATTRIBUTES = {"params": "parameters", "macs": "macs", "bytes": "bytes"}


def wide():
    """Layers of many units, so that a budget can be used to the hundredth."""
    return mlp(units=(60, 80, 40))


def trained(sparse, epochs=4, rate=0.01):
    sparse.compile(keras.optimizers.SGD(rate, momentum=0.9), "mse")
    x, y = data(sparse.model)
    sparse.fit(x, y, batch_size=8, epochs=epochs, verbose=0)
    return sparse


def true_cost(sparse, unit) -> int:
    return getattr(tf_wgsef.profile(tf_wgsef.strip(sparse).model), ATTRIBUTES[unit])


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("unit", ATTRIBUTES)
def test_the_stripped_model_is_within_the_budget_and_uses_it(unit, share, scope):
    model = wide()
    dense = getattr(tf_wgsef.profile(model), ATTRIBUTES[unit])
    sparse = trained(tf_wgsef.sparsify(model, budget={unit: share}, scope=scope))
    cost = true_cost(sparse, unit)
    assert 0.98 * share * dense <= cost <= share * dense
    assert sparse.cost() == {unit: cost, "budget": share * dense}


def test_amounts_and_shares():
    dense = tf_wgsef.profile(wide()).macs
    by_share = tf_wgsef.sparsify(wide(), budget={"macs": 0.25})
    for amount in (dense // 4, float(dense // 4), np.int64(dense // 4), np.float32(0.25)):
        assert tf_wgsef.sparsify(wide(), budget={"macs": amount}).level.budget.amount == pytest.approx(
            by_share.level.budget.amount
        )


def test_layer_scope_keeps_equal_shares():
    sparse = trained(tf_wgsef.sparsify(wide(), budget={"macs": 0.3}, scope="layer"))
    shares = [kept / size for kept, size in zip(sparse.live_groups().values(), (60, 80, 40), strict=True)]
    assert max(shares) - min(shares) < 0.05


def test_global_scope_spends_where_the_norms_are():
    """The same model keeps more of the layer whose units are made larger, and less of the others."""
    kept = []
    for factor in (1.0, 4.0):
        model = wide()
        layer = model.get_layer("h1")
        layer.kernel.assign(factor * keras.ops.convert_to_numpy(layer.kernel))
        sparse = tf_wgsef.sparsify(model, budget={"params": 0.3}, scope="global")
        kept.append(trained(sparse, rate=1e-6).live_groups())
    assert kept[1]["h1"] > 2 * kept[0]["h1"] and kept[1]["h2"] < kept[0]["h2"]


def test_dear_groups_go_first():
    """Of equal norms, what costs more MACs is removed: early filters at many positions."""
    model = keras.Sequential(
        [
            keras.Input((16, 16, 4)),
            keras.layers.Conv2D(16, 3, padding="same", name="early"),
            keras.layers.MaxPooling2D(8),
            keras.layers.Conv2D(16, 3, padding="same", name="late"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )
    groups = tf_wgsef.build_groups(model)
    groups.scale(model, 1 / np.array(groups.norms(model)))
    sparse = trained(tf_wgsef.sparsify(model, budget={"macs": 0.5}, scope="global"), rate=1e-6)
    kept = sparse.live_groups()
    assert kept["early"] <= 9 and kept["late"] >= 15
    assert true_cost(sparse, "macs") <= sparse.level.budget.amount


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_multiples_are_kept_inside_the_budget(scope):
    sparse = trained(tf_wgsef.sparsify(wide(), budget={"params": 0.4}, round_to=8, scope=scope))
    assert all(
        kept % 8 == 0 or kept == size
        for kept, size in zip(sparse.live_groups().values(), (60, 80, 40), strict=True)
    )
    assert true_cost(sparse, "params") <= sparse.level.budget.amount
    assert live_counts(sparse.model, ("h1", "h2", "h3")) == sparse.live_groups()


@pytest.mark.parametrize("share", (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9))
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_a_short_last_block_stays_only_with_its_whole_layer(scope, share):
    """``inner`` has 5 filters: 2, 4 or all of them, never 3 because a block of one fits where two do not."""
    sparse = tf_wgsef.sparsify(models.residual(), budget={"params": share}, round_to=2, scope=scope)
    sparse.freeze()
    assert sparse.live_groups()["inner"] in (2, 4, 5)
    assert sparse.live_groups()["stem+outer"] in (2, 4, 6)


def staircase(model) -> LatencyTable:
    """A device that computes 8 channels at a time: 1 µs per step of outputs and 10 inputs."""
    rows = {}
    for layer in model.layers:
        inputs, outputs = layer.kernel.shape
        n_in = tuple(range(1, inputs + 1))
        n_out = tuple(range(1, outputs + 1))
        rows[layer.name] = LayerLatency(
            n_in, n_out, np.outer(np.array(n_in) / 10, np.ceil(np.array(n_out) / 8))
        )
    return LatencyTable("eight at a time", rows, overhead=2.0)


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_a_latency_budget_is_met_by_the_table(scope):
    model = wide()
    table = staircase(model)

    def microseconds(stripped):
        return 2.0 + sum(
            table.layers[layer.name].microseconds_of(*layer.kernel.shape) for layer in stripped.layers
        )

    dense = microseconds(model)
    sparse = trained(tf_wgsef.sparsify(model, budget={"latency": (dense / 3, table)}, scope=scope))
    found = microseconds(tf_wgsef.strip(sparse).model)
    assert 0.98 * dense / 3 <= found <= dense / 3
    assert sparse.cost()["latency"] == pytest.approx(found)


def test_a_budget_spent_on_branches():
    """Of three residual branches the two cheap ones fit beside each other, or the dear one."""
    inputs = keras.Input((6,))
    x = inputs
    for name, width in (("dear", 60), ("cheap1", 20), ("cheap2", 20)):
        branch = keras.layers.Dense(width, activation="relu", name=name)(x)
        x = keras.layers.Add()([x, keras.layers.Dense(6, name=f"{name}_out")(branch)])
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    sparse = tf_wgsef.sparsify(model, groups="depth", budget={"macs": 0.5})
    sparse.compile(keras.optimizers.SGD(1e-6), "mse")
    x, y = data(model)
    sparse.fit(x, y, batch_size=8, epochs=2, verbose=0)
    result = tf_wgsef.strip(sparse)
    assert [layer.name for layer in result.model.layers if "out" in layer.name] == [
        "cheap1_out",
        "cheap2_out",
    ]
    assert true_cost(sparse, "macs") == 2 * (120 + 120) + 12 <= 0.5 * tf_wgsef.profile(model).macs


def test_saved_and_loaded_it_is_the_same(tmp_path):
    sparse = tf_wgsef.sparsify(wide(), budget={"latency": (60.0, staircase(wide()))})
    sparse.compile("sgd", "mse")
    x, y = data(sparse.model)
    sparse.fit(x, y, batch_size=8, epochs=2, verbose=0)
    sparse.save(tmp_path / "sparse.keras")
    again = keras.models.load_model(tmp_path / "sparse.keras")
    assert again.cost() == sparse.cost()
    assert again.level.get_config() == sparse.level.get_config()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (dict(budget={"watts": 3}), "one of the units params, macs, bytes, latency"),
        (dict(budget=0.3), "one of the units"),
        (dict(budget={}), "one of the units"),
        (dict(budget={"macs": 0.3, "params": 0.3}), "one of the units"),
        (dict(budget={"macs": 0}), "above 0"),
        (dict(budget={"macs": -5}), "above 0"),
        (dict(budget={"macs": True}), "above 0"),
        (dict(budget={"macs": float("nan")}), "above 0"),
        (dict(budget={"macs": 10**400}), "above 0"),
        (dict(budget={"macs": "half"}), "above 0"),
        (dict(budget={"latency": 30}), "microseconds, table"),
        (dict(budget={"latency": (30, None)}), "microseconds, table"),
        (dict(budget={"macs": 0.3}, sparsity=0.5), "one of `sparsity`, `k` and `budget`"),
        (dict(budget={"macs": 0.3}, k=5), "one of `sparsity`, `k` and `budget`"),
        (dict(budget={"macs": 0.3}, scope="all"), "`scope` to be one of"),
        (dict(budget={"macs": 0.3}, groups="element"), "groups that strip removes"),
    ],
)
def test_budgets_that_cannot_be(arguments, match):
    with pytest.raises(InputError, match=match):
        tf_wgsef.sparsify(wide(), **arguments)


def test_a_budget_below_the_floors_says_the_smallest():
    model = wide()
    with pytest.raises(InputError, match=r"at least 8 macs, 0.000\d+ of the model. Received: 3 macs"):
        tf_wgsef.sparsify(model, budget={"macs": 3})
    # 4 inputs and 2 outputs: 4 + 1 + 1 + 2 with one unit per layer
    assert tf_wgsef.sparsify(model, budget={"macs": 8}).level.budget.amount == 8


def test_without_a_budget_there_is_no_cost():
    with pytest.raises(InputError, match="a level in groups"):
        tf_wgsef.sparsify(wide(), sparsity=0.5).cost()


@pytest.mark.parametrize(("alive", "told"), [(2, True), (12, False)])
def test_what_a_penalty_leaves_unused_of_a_budget_is_told(caplog, alive, told):
    sparse = tf_wgsef.sparsify(mlp((16, 16)), budget={"macs": 0.5})
    sparse.groups.scale(sparse.model, (np.arange(32) % 16 < alive).astype("float32"))
    sparse.freeze()
    assert ("took more than the budget asks" in caplog.text) == told


@pytest.mark.parametrize("how", [{"round_to": 8}, {"update": "gradual"}, {}])
def test_no_such_warning_of_what_the_choice_itself_leaves(caplog, how):
    sparse = tf_wgsef.sparsify(mlp((24, 24)), budget={"macs": 0.4}, **how)
    sparse.compile(keras.optimizers.SGD(0.05), "mse")
    x, y = data()
    sparse.fit(x, y, epochs=4, verbose=0)
    assert "took more" not in caplog.text
