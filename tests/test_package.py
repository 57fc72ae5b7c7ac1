"""The package as a whole: public names, structure."""

import subprocess
import sys
import types

import pytest

import tf_wgsef
from tests import models


@pytest.mark.parametrize("name", tf_wgsef.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(tf_wgsef, name).__doc__.strip()


def test_importing_the_package_loads_no_framework():
    code = "import sys, tf_wgsef; sys.exit(bool({'keras', 'tensorflow', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_saved_wrappers_load_wherever_the_package_is_imported_after_keras(tmp_path):
    model = models.lenet()
    tf_wgsef.sparsify(model, sparsity=0.5).save(tmp_path / "wrapped.keras")
    code = "import sys, keras, tf_wgsef; print(keras.models.load_model(sys.argv[1]).live_groups())"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "wrapped.keras")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "'conv1': 4" in done.stdout


@pytest.mark.parametrize("name", ["strip", "convert", "measure"])
def test_help_of_a_stage_begins_with_how_to_call_it(name):
    assert getattr(tf_wgsef, name).__doc__.startswith(f"{name}(")


def test_unknown_names_raise_as_usual():
    with pytest.raises(AttributeError, match="no attribute 'prune'"):
        tf_wgsef.prune  # noqa: B018


@pytest.mark.parametrize("name", ["strip", "convert", "measure"])
def test_a_stage_is_a_package_and_a_function_whichever_is_imported_first(name):
    code = (
        f"import tf_wgsef.{name}, inspect, tf_wgsef\n"
        f"from tf_wgsef.{name} import {name} as function\n"
        f"assert inspect.signature(tf_wgsef.{name}) == inspect.signature(function)\n"
        f"tf_wgsef.{name}()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "missing 1 required positional argument" in done.stderr
    assert isinstance(getattr(tf_wgsef, name), types.ModuleType)
