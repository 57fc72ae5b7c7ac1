"""The package as a whole: public names, structure."""

import subprocess
import sys
import types

import pytest

import tf_wgsef


@pytest.mark.parametrize("name", tf_wgsef.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(tf_wgsef, name).__doc__.strip()


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
