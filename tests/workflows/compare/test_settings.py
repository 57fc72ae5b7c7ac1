"""What a comparison can be asked to do, and what is said where it cannot."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

import tf_wgsef
from tf_wgsef.errors import InputError
from tf_wgsef.workflows.compare import RECIPES, Run, Settings, load_settings, read_settings

BAD_SHAPES = (
    "conv1", "conv1=", "conv1=x", "conv1=-3", "=3", "conv1=3,conv1=4", "conv1=3,,conv2=4",
    "conv1=" + "9" * 5000, {}, {"conv1": -1}, {"conv1": 2.5}, {"conv1": True}, {"a,b": 3}, {"": 3}, {3: 3},
    5, None, [None], [[3]],
)  # fmt: skip
EXAMPLES = pathlib.Path(__file__).parents[3] / "examples"


def test_every_method_runs_with_every_level_and_seed_and_the_dense_one_once_per_seed():
    runs = Settings(methods=("wgsef", "magnitude"), levels=(0.5, 0.9), seeds=(0, 1, 2)).runs()
    assert len(runs) == len(set(runs)) == 2 * 2 * 3 + 3
    assert {(run.method, run.level) for run in runs if run.method == "dense"} == {("dense", 0.0)}


def test_the_whole_network_is_run_unless_asked_not_to():
    for methods, dense, made in [(["wgsef"], True, 3), (["wgsef"], False, 0), (["wgsef", "dense"], False, 3)]:
        runs = Settings(methods=methods, dense=dense, seeds=(0, 1, 2), levels=(0.5,)).runs()
        assert sum(run.method == "dense" for run in runs) == made and len(runs) == made + 3


def test_all_runs_have_equal_epochs_and_optimizer():
    runs = Settings(methods=("wgsef", "ssl", "narrow"), epochs=7, clip=2.0).runs()
    for name in ("epochs", "first", "batch", "learning_rate", "weight_decay", "augment", "clip", "samples"):
        assert len({getattr(run, name) for run in runs}) == 1


def test_what_is_not_said_is_the_recipes():
    (run, *_) = Settings(recipe="lenet5-mnist").runs()
    recipe = RECIPES["lenet5-mnist"]
    assert (run.epochs, run.batch, run.learning_rate) == (recipe.epochs, recipe.batch, recipe.learning_rate)


def test_each_strength_is_a_run():
    runs = Settings(methods=("ssl", "wgsef"), levels=(0.5,), seeds=(0,), strength={"ssl": [0.1, 0.2]}).runs()
    assert [(run.method, run.strength) for run in runs[1:]] == [("ssl", 0.1), ("ssl", 0.2), ("wgsef", None)]


@pytest.mark.parametrize(
    ("epochs", "ramp", "first"), [(10, 0.5, 5), (2, 0.01, 1), (2, 0.99, 1), (1, 0.5, 1), (9, 0.3, 3)]
)
def test_there_is_an_epoch_before_the_cut_and_one_after_it_where_there_are_two(epochs, ramp, first):
    (run, *_) = Settings(epochs=epochs, ramp=ramp).runs()
    assert run.first == first


def test_a_level_is_a_share_of_the_groups_or_a_budget():
    groups, macs = (Settings(levels=(0.7,), unit=unit).runs()[-1] for unit in ("groups", "macs"))
    assert groups.sparsify_level == {"sparsity": 0.7}
    assert macs.sparsify_level["budget"]["macs"] == pytest.approx(0.3)


def test_shapes_beside_levels():
    settings = read_settings({"shapes": [{"conv1": 3, "conv2": 12}, "conv1=2, conv2=5"], "seeds": [0]})
    assert settings.levels == () and settings == read_settings(vars(settings))
    runs = [run for run in settings.runs() if run.method == "wgsef"]
    assert [run.shape for run in runs] == ["conv1=3,conv2=12", "conv1=2,conv2=5"]
    assert [run.level for run in runs] == pytest.approx([1 - 15 / 70, 1 - 7 / 70])
    assert runs[0].sparsify_level == {"k": {"conv1": 3, "conv2": 12}}
    kinds = {"stage1*": "depth", "*": "filter"}
    whole = Settings(recipe="resnet8-cifar10", groups=kinds, shapes={"depth": 0}, seeds=(0,))
    assert whole == read_settings(vars(whole))
    assert (whole.runs()[-1].shape, whole.runs()[-1].level, whole.runs()[-1].kinds) == ("depth=0", 1.0, kinds)
    both = Settings(shapes={"conv*": 3}, levels=0.5, unit="macs", seeds=(0,)).runs()
    assert {(run.shape, run.unit) for run in both} == {(None, "macs"), ("conv*=3", "groups")}


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"conv9": 3}, "name layers with groups. Received: 'conv9'"),
        ({"conv1": 21}, "at most the 20 groups of layer 'conv1'"),
        ({"conv1": 20}, "a shape that removes something"),
        ({"conv1": 0}, "`k` to be a whole number of at least 1. Received: k=0"),
    ],
)
def test_a_shape_that_the_network_cannot_have(shape, message):
    with pytest.raises(InputError, match=message):
        Settings(shapes=shape).runs()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(methods=["wgsf"]), "`methods` to be of: wgsef, .*Received: 'wgsf'"),
        (dict(recipe="lenet"), "`recipe` to be of: lenet5-digits.*Received: 'lenet'"),
        (dict(unit="flops"), "`unit` to be of: groups, macs"),
        (dict(levels=[1.0]), r"`levels` in \[0, 1\)"),
        (dict(levels=[]), "at least one of `levels`"),
        *((dict(shapes=shape), "`shapes` to be tables") for shape in BAD_SHAPES),
        (dict(shapes={"conv1": 3}, methods=["wgsef", "slimming"]), "Received: 'slimming' with `shapes`: net"),
        (dict(methods=[]), "at least one of `methods`"),
        (dict(seeds=[]), "at least one of `seeds`"),
        (dict(seeds=["a"]), "`seeds` to be whole numbers"),
        (dict(epochs=0), "`epochs` to be a whole number of at least 1"),
        (dict(epochs=10**30), r"`epochs` below 2\^31"),
        (dict(samples=2.5), "`samples` to be a whole number"),
        (dict(learning_rate=-1.0), "`learning_rate` to be a number above 0"),
        (dict(ramp=1.0), r"`ramp` in \(0, 1\), the share of the epochs before the cut. Received: ramp=1.0"),
        (dict(clip=float("nan")), "`clip` to be a number above 0"),
        (dict(validation=-1), "`validation`"),
        (dict(restart="no"), "`restart` to be true or false"),
        (dict(optimizer="adam"), "`optimizer` to be of: sgd, conv_muon. Received: 'adam'"),
        (dict(border="edge"), "`border` to be of: reflect, zeros. Received: 'edge'"),
        (dict(shift=-1), "`shift` to be a whole number"),
        (dict(shift=10**9), "`shift` to be 256 pixels or less. Received: shift=1000000000"),
        (dict(models=1), "`models` to be true or false"),
        (dict(pretrained="no"), "`pretrained` to be true or false"),
        (
            dict(pretrained=True),
            "`pretrained` with a `model` of your own. Received: the recipe 'lenet5-digits'",
        ),
        (dict(model=5, data=6), "`model` and `data` to be paths of files. Received: 5"),
        (dict(model="a\0b", data="c"), r"Expected a file. Received: 'a\\x00b' \(embedded null byte"),
        (dict(model="/dev/zero", data="c"), "'/dev/zero' .it is a device or a pipe"),
        (dict(strength={"ssl": -1}), "`strength` to be a number above 0"),
        (dict(strength={"nothing": 1}), "Received: 'nothing'"),
        (dict(strength=0.1), "`strength` to be"),
        *(
            (dict(groups=groups), "`groups` to be of: filter.*Received: ")
            for groups in ("filters", None, 3, {}, {"a": "filters"}, {"a": None}, {"a": ["filter"]}, "a=b,c")
        ),
        (dict(method=["wgsef"]), "`settings` to be of: recipe, .*Received: 'method'"),
        (["recipe"], "settings as a mapping"),
        (5, "settings as a mapping"),
        (dict(seeds=[2**32]), "`seeds` to be whole numbers"),
        (dict(seeds=[True]), "`seeds` to be whole numbers"),
        (dict(ramp=0.0), "`ramp` to be a number above 0"),
        (dict(learning_rate=10**400), "`learning_rate` to be a number above 0"),
        (dict(weight_decay=10**400), "`weight_decay` to be a finite number"),
        (dict(validation=[]), "`validation`"),
        (dict(validation=""), "`validation`"),
        (dict(validation=None), "`validation`"),
        (dict(augment="no"), "`augment` to be true or false"),
        (dict(augment=[]), "`augment` to be true or false"),
        (dict(latency="no"), "`latency` to be true or false"),
        (dict(latency=None), "`latency` to be true or false"),
        (dict(strength={"wgsef": [0.1, 0.2]}), "methods that have one: wgsef_plain, .*Received: 'wgsef'"),
        (dict(strength={"ssl": [None]}), "Received: None of 'ssl'"),
    ],
)
def test_what_cannot_be_gets_one_clear_line(settings, message):
    with pytest.raises(InputError, match=message) as caught:
        read_settings(settings)
    assert "\n" not in str(caught.value)


def test_numbers_of_numpy_become_those_that_a_file_takes():
    settings = Settings(
        methods=("ssl",), levels=(np.float32(0.5),), seeds=(np.int64(1),), epochs=np.int64(3),
        ramp=np.float32(0.5),
        samples=np.int64(9), validation=np.int64(4), batch=np.int64(2), learning_rate=np.float32(0.5),
        weight_decay=np.float32(0.5), clip=np.float32(0.5), strength={"ssl": (np.float32(0.5), 1)},
        augment=True, shift=np.int64(2),
    )  # fmt: skip
    for run in settings.runs():
        assert Run(**json.loads(json.dumps(dataclasses.asdict(run)))) == run


def test_a_configuration_file(tmp_path):
    file = tmp_path / "compare.toml"
    file.write_text('recipe = "lenet5-mnist"\nlevels = [0.9]\nstrength = { ssl = [0.1, 0.2] }\n')
    settings = load_settings(file)
    assert settings.recipe == "lenet5-mnist" and settings.levels == (0.9,)
    assert settings.strength == {"ssl": [0.1, 0.2]}


# All others are curves.
AT_FEW_LEVELS = {"compare_lenet5_methods", "compare_resnet8_methods", "compare_resnet20_depth_brief"}


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.toml")), ids=lambda file: file.name)
def test_the_examples_are_settings_of_three_seeds_and_curves_have_five_levels(file):
    settings = load_settings(file)
    levels = len(settings.levels) + len(settings.shapes)
    assert levels >= (1 if file.stem in AT_FEW_LEVELS else 5) and len(settings.seeds) >= 3
    assert len(settings.runs()) == len(settings.seeds) * (1 + levels * len(settings.methods))


# What may stay of the MACs and of the parameters.
GPU = {"resnet8": (0.5, 1.0), "resnet56": (1 / 2.57, 1.0), "resnet18": (0.2, 0.088), "vgg16": (0.26, 0.05)}


def test_the_examples_for_a_gpu_are_settings_with_three_seeds():
    assert {file.stem for file in (EXAMPLES / "gpu").glob("*.toml")} == set(GPU)
    for name in GPU:
        settings = load_settings(EXAMPLES / "gpu" / f"{name}.toml")
        assert len(settings.seeds) == 3 and "wgsef" in settings.methods and not settings.latency


@pytest.mark.slow
@pytest.mark.parametrize("name", GPU)
def test_the_examples_for_a_gpu_leave_what_is_asked(name):
    settings = load_settings(EXAMPLES / "gpu" / f"{name}.toml")
    (run,) = {(run.level, run.shape): run for run in settings.runs() if run.method == "wgsef"}.values()
    model = RECIPES[run.recipe].build()
    dense = tf_wgsef.profile(model)
    sparse = tf_wgsef.sparsify(model, groups=run.kinds, **run.sparsify_level)
    sparse.freeze()
    small = tf_wgsef.profile(tf_wgsef.strip(sparse).model)
    macs, parameters = GPU[name]
    assert 0.95 * macs < small.macs / dense.macs <= macs
    assert small.parameters / dense.parameters <= parameters


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"levels = [", "which is none"),
        (b"\xff\xfe", "which is none"),
        (b"speed = 3", "Received: 'speed'"),
        (b"samples = " + b"1" * 5000, "which is none"),
        (b"levels = " + b"[" * 20_000, "which is none"),
        (b"levels = [1979-05-27]", "`levels` in"),
    ],
)
def test_a_configuration_file_that_is_none(tmp_path, content, message):
    file = tmp_path / "compare.toml"
    file.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_settings(file)
    with pytest.raises(InputError, match="No such file"):
        load_settings(tmp_path / "nothing.toml")
