"""The Python examples in the documentation run as they stand."""

import pathlib
import re
import runpy

import keras
import numpy as np
import pytest

import tf_wgsef
from tf_wgsef.workflows import load_digits_28
from tf_wgsef.workflows.compare import METHODS

ROOT = pathlib.Path(__file__).parent.parent


def blocks(name):
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def few_digits(monkeypatch):
    """MNIST without a network, and few of them: scikit-learn's digits in MNIST's shape and type."""
    data = load_digits_28()
    train = (255 * data.x_train[:256, ..., 0]).astype("uint8"), data.y_train[:256]
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: (train, train))


def test_the_page_of_public_names_is_what_the_docstrings_say():
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    assert page == runpy.run_path(str(ROOT / "tools/api_page.py"))["page"]()
    assert [name for name in tf_wgsef.__all__ if f"`tf_wgsef.{name}`" not in page] == []


def test_the_page_of_comparisons_names_every_method():
    page = (ROOT / "docs/comparing.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"## The methods\n(.*?)\n## ", page, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", re.sub(r"(?m)^(\| [^|]*\|).*$", r"\1", table))) == set(METHODS)


def test_the_readme_example_runs(few_digits, capsys):
    (example,) = blocks("README.md")
    exec(compile(example, "README.md", "exec"), {})  # noqa: S102
    out = capsys.readouterr().out
    assert "conv2d (Conv2D): kept 5 of 20" in re.sub(r"conv2d(_\d+)? ", "conv2d ", out)
    assert "p50" in out


def test_the_rule_example_opens_its_layer_from_outside_the_package(rules_restored):
    example, _ = blocks("docs/adding_a_layer_rule.md")
    names = {}
    exec(compile(example, "rule", "exec"), names)  # noqa: S102
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(6, name="d"), names["ChannelScale"](), keras.layers.Dense(2)]
    )
    groups = tf_wgsef.build_groups(model)
    assert {m.variable for m in groups.members} >= {"d/kernel", "channel_scale/scale"}
    groups.scale(model, np.array([1, 0, 0, 1, 1, 0]))
    assert tf_wgsef.strip(model).removed == {"d": 3, "channel_scale": 3}


class MyDense(keras.layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units, self.use_bias = units, True

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")
        self.bias = self.add_weight(shape=(self.units,), name="bias")

    def call(self, x):
        return x @ self.kernel + self.bias

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@pytest.mark.filterwarnings("ignore")
def test_the_rule_of_a_layer_that_sums_over_its_channels(rules_restored):
    _, example = blocks("docs/adding_a_layer_rule.md")
    exec(compile(example, "rule", "exec"), {"tf_wgsef": tf_wgsef, "MyDense": MyDense})  # noqa: S102
    model = keras.Sequential(
        [keras.Input((4,)), MyDense(6, name="own"), keras.layers.ReLU(), MyDense(5, name="next"), MyDense(2)]
    )
    groups = tf_wgsef.build_groups(model)
    assert groups.layers == ("own", "next")
    groups.scale(model, np.arange(groups.num_groups) % 2)
    assert tf_wgsef.strip(model).removed == {"own": 3, "next": 3}


def test_the_penalty_example_trains_to_the_level():
    (example,) = blocks("docs/adding_a_penalty.md")
    names = {}
    exec(compile(example, "penalty", "exec"), names)  # noqa: S102
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(8, activation="relu", name="d"), keras.layers.Dense(1)]
    )
    sparse = tf_wgsef.sparsify(model, sparsity=0.75, penalty=names["GroupL0"](strength=0.1))
    sparse.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(64, 4))
    sparse.fit(x, x[:, :1], epochs=4, verbose=0)
    assert sparse.live_groups() == {"d": 2}


def test_the_resuming_example_goes_on_where_it_was_interrupted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (example,) = blocks("docs/resuming.md")
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")

    def run(last_epoch):
        keras.utils.set_random_seed(0)
        hidden = keras.layers.Dense(8, activation="tanh", name="d")
        model = keras.Sequential(
            [keras.Input((4,)), hidden, keras.layers.Dropout(0.2), keras.layers.Dense(1)]
        )
        sparse = tf_wgsef.sparsify(model, sparsity=0.75)
        sparse.compile("adam", "mse")

        names = {"keras": keras, "np": np, "x": x, "y": x[:, :1], "sparse": sparse}

        def stop(batch, logs):
            if names["batches"].epoch == last_epoch:
                raise KeyboardInterrupt

        names["stops"] = keras.callbacks.LambdaCallback(on_train_batch_end=stop)
        code = example.replace("epochs=30", "epochs=4").replace("[order, backup]", "[order, backup, stops]")
        exec(compile(code, "resuming", "exec"), names)  # noqa: S102
        return sparse.get_weights()

    with pytest.raises(KeyboardInterrupt):
        run(3)
    resumed, whole = run(None), run(None)
    for now, expected in zip(resumed, whole, strict=True):
        np.testing.assert_array_equal(now, expected)


def test_the_examples_of_baselines_run():
    connections, slimming, flow, implicit, narrow = blocks("docs/baselines.md")
    found = []
    for example in (connections, slimming, flow, implicit, narrow):
        found.append({})
        exec(compile(example, "docs/baselines.md", "exec"), found[-1])  # noqa: S102
    assert found[0]["tflite"][4:8] == b"TFL3"
    assert found[1]["small"].layers[0].units == 4 and not found[1]["small"].losses
    assert [layer.units for layer in found[2]["small"].layers if hasattr(layer, "units")] == [4, 4, 4, 1]
    assert len(found[3]["history"]["inactive_by_gamma"]) == 2
    assert found[4]["narrow"].layers[0].filters == 2
    assert (found[4]["narrow"].layers[0].kernel.numpy() != 0).all()


def test_the_examples_of_comparing_run(tmp_path):
    from tf_wgsef.workflows.compare import RECIPES, Settings

    compared, own = blocks("docs/comparing.md")
    found = {}
    exec(compile(compared, "docs/comparing.md", "exec"), found)  # noqa: S102
    assert [row.method for row in found["comparison"].rows] == ["nothing removed", "WGSEF"]
    try:
        exec(compile(own, "docs/comparing.md", "exec"), {})  # noqa: S102
        settings = Settings(recipe="mine", methods=("magnitude",), levels=(0.5,), seeds=(0,), latency=False)
        runs = tf_wgsef.compare_methods(settings, output=tmp_path).runs
        assert {run["data"] for run in runs} == {"my images"}
    finally:
        RECIPES.pop("mine", None)


def test_the_settings_of_comparing_are_settings(tmp_path):
    from tf_wgsef.workflows.compare import load_settings

    (text,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/comparing.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "settings.toml").write_text(text)
    assert load_settings(tmp_path / "settings.toml").strength == {"wgsef_plain": [0.01, 0.03]}


def test_the_examples_of_deploying_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    whole, proof, memory = blocks("docs/deploying.md")
    names = {}
    exec(compile(whole, "docs/deploying.md", "exec"), names)  # noqa: S102
    exec(compile(proof, "docs/deploying.md", "exec"), names)  # noqa: S102
    exec(compile(memory, "docs/deploying.md", "exec"), names)  # noqa: S102
    assert (tmp_path / "deployed" / "model_int8.tflite").read_bytes() == names["done"].files["int8"]
    assert names["record"].contents.operators["DEQUANTIZE"] == 1
    assert "integers only" in capsys.readouterr().out


def test_links_point_to_files_that_exist():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
