"""Fixtures shared by all tests."""

import gc
import os
import subprocess
import sys

import pytest

# Set before Keras is imported: TensorFlow's start-up messages say nothing about a test.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="module", autouse=True)
def quick_collections():
    """Garbage is looked for among a module's own objects: among all that tests left it takes seconds."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """One run of ``tf-wgsef demo --json`` as a user starts it: (folder, finished process)."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    done = subprocess.run(
        [sys.executable, "-m", "tf_wgsef.cli", "demo", "--output", str(folder), "--json"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return folder, done


@pytest.fixture
def rules_restored():
    """Forgets the layer rules that a test registers."""
    from tf_wgsef.rules import _registry

    saved = dict(_registry._RULES)
    yield
    _registry._RULES.clear()
    _registry._RULES.update(saved)
