import numpy as np
import pytest

from tf_wgsef.training import GeometricRamp, LearningRateStep


@pytest.mark.parametrize("start", [1e-3, 0.2])
def test_the_ramp_grows_by_the_same_factor_from_start_to_one(start):
    progress = np.linspace(0, 1, 11).astype("float32")
    steps = np.array([float(GeometricRamp(start).step_size(p, 0.1)) for p in progress])
    np.testing.assert_allclose(steps, start ** (1 - progress), rtol=1e-5)
    assert steps[-1] == 1.0


def test_the_learning_rate_is_the_step():
    assert float(LearningRateStep().step_size(0.3, 0.25)) == 0.25
