"""What the tests of deploying share."""

import numpy as np
import pytest

import tf_wgsef
from tests import models


@pytest.fixture(scope="module")
def sparse():
    """Half of the groups are zero; with data and the classes that it gives them."""
    model = models.randomize(models.lenet())
    groups = tf_wgsef.build_groups(model)
    groups.scale(model, np.arange(groups.num_groups) % 2)
    x = np.random.default_rng(0).normal(size=(40, 20, 20, 1)).astype("float32")
    return model, x, np.argmax(model.predict(x, verbose=0), -1)
