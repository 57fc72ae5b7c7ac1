"""The rebuilt models against the originals, all in one process with Keras 2."""

import functools
import importlib.util
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import tf_wgsef
from tests import models
from tests.convert.aware import bridging
from tf_wgsef.convert._flat import call_flat, flat_model
from tf_wgsef.convert.aware._describe import describe_model
from tf_wgsef.convert.aware._environment import environment
from tf_wgsef.workflows import networks

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_model_optimization") is None, reason="the extra qat is not installed"
)

# Of the toy models, those whose layers Keras 2 has.
REBUILT = (
    "lenet",
    "batch_norm_chain",
    "residual",
    "dense_concat",
    "separable",
    "two_heads",
    "with_barrier",
    "decoder",
    "matched",
    "grouped",
    "nested",
)
NETWORKS = ("lenet5", "resnet8", "ds_cnn")
LARGE = ("mobilenet_v1_025", "densenet40")
REFUSED = {
    "squeeze_and_excite": [("Activation", "act", "hard_silu")],
    "sequence": [("ZeroPadding1D", "pad", "data_format")],
    "normalized": [("RMSNormalization", "rms", "Keras 2 has no such layer")],
}
# Every layer that keeps a rebuilt model from being quantized.
NOT_QUANTIZED = {
    "two_heads": ["hidden", "shared"],
    "decoder": ["average", "maximum", "minimum", "subtract"],
    "matched": ["found", "mixed", "scores"],
    "nested": ["tail/twice/block/inner", "tail/twice/block/outer"],
}


def _stripped(name):
    """A network of random weights and statistics, of which half of the channels are stripped."""
    model = getattr(networks, name)()
    random = np.random.default_rng(0)
    for weight in model.weights:
        if weight.path.endswith(("variance", "gamma")):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
        elif not weight.path.endswith("kernel"):
            weight.assign(random.normal(0, 0.3, weight.shape))
    groups = tf_wgsef.build_groups(model)
    groups.scale(model, (random.random(groups.num_groups) < 0.5).astype("float32"))
    return tf_wgsef.strip(model).model


def _write(model, folder):
    flat = flat_model(model)
    x = models.random_inputs(model, 4)
    x = x if isinstance(x, list) else [x]
    description = describe_model(flat)
    arrays = {f"x{i}": one for i, one in enumerate(x)}
    arrays |= {f"y{i}": np.asarray(one) for i, one in enumerate(call_flat(flat, x))}
    folder.mkdir()
    (folder / "description.json").write_text(json.dumps(description.plain))
    np.savez(folder / "arrays.npz", **description.weights(), **arrays)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """``found(name)``: what became of a model; the large ones have a process of their own."""

    @functools.cache
    def run(names):
        folder = tmp_path_factory.mktemp("bridge")
        for name in names:
            toy = name in models.ALL
            _write(models.randomize(models.ALL[name]()) if toy else _stripped(name), folder / name)
        done = subprocess.run(
            [sys.executable, bridging.__file__, *map(str, folder.iterdir())],
            env={**environment(folder), "PYTHONPATH": str(pathlib.Path(tf_wgsef.__file__).parents[1])},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return lambda name: run(LARGE if name in LARGE else (*REBUILT, *REFUSED, *NETWORKS))[name]


ALL = [*REBUILT, *NETWORKS, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)]


@pytest.mark.parametrize("name", ALL)
def test_keras_2_computes_the_same(found, name):
    assert found(name)["difference"] <= 1e-5
    assert found(name)["rewritten"] <= 1e-5


@pytest.mark.parametrize("name", REFUSED)
def test_layers_that_keras_2_has_not_are_named(found, name):
    assert found(name)["difference"] is None
    named = [(kind, path) for kind, path, _ in found(name)["refused"]]
    assert named == [(kind, path) for kind, path, _ in REFUSED[name]]
    for (_, _, reason), (_, _, part) in zip(found(name)["refused"], REFUSED[name], strict=True):
        assert part in reason


@pytest.mark.parametrize("name", ALL)
def test_layers_that_are_not_quantized_are_all_named(found, name):
    assert sorted(path for _, path, _ in found(name)["refused"]) == NOT_QUANTIZED.get(name, [])
