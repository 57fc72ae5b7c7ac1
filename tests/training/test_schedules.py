import numpy as np
import pytest

from tests import oracles
from tf_wgsef.errors import InputError
from tf_wgsef.training import GradualBudget, LearningRateStep

PROGRESS = np.linspace(0, 1, 21).astype("float32")


@pytest.mark.parametrize("steps", [50, 1000, 39_000])
@pytest.mark.parametrize("until", [0.5, 0.8])
def test_the_budget_falls_to_the_levels_and_then_the_step_grows_to_one(steps, until):
    schedule = GradualBudget(until=until, pace=10.0)
    for progress in PROGRESS:
        step, budget = oracles.gradual_budget(progress, steps, 8, 32, until=until, pace=10.0)
        assert float(schedule.step_size(progress, 0.1, steps)) == pytest.approx(step, rel=2e-5)
        assert 8 + 24 * float(schedule.room(progress)) == pytest.approx(budget, abs=1e-5)


@pytest.mark.parametrize("ramp", [0.03, 0.5, 0.6, 0.83, 0.99])
def test_groups_go_within_the_ramp_or_as_fast_as_in_one_of_half_of_training_if_it_is_longer(ramp):
    schedule, steps = GradualBudget.for_ramp(ramp), 1000 * max(ramp, 0.5) / 0.5
    for done in np.linspace(0, 800, 9):  # the budget falls over 800 steps, whatever the ramp
        step, budget = oracles.gradual_budget(done / 1000, 1000, 8, 32, until=0.8, pace=5.0)
        progress = np.float32(done / steps)
        assert float(schedule.step_size(progress, 0.1, steps)) == pytest.approx(step, rel=1e-4)
        assert 8 + 24 * float(schedule.room(progress)) == pytest.approx(budget, abs=1e-4)
    assert float(schedule.step_size(np.float32(1.0), 0.1, steps)) == pytest.approx(1.0, rel=1e-6)


def test_it_ends_with_the_hard_projection_to_the_level_and_begins_with_no_penalty_at_all():
    schedule = GradualBudget()
    assert float(schedule.room(0.0)) == 1.0
    assert float(schedule.room(1.0)) == 0.0
    assert float(schedule.step_size(1.0, 0.1, 1000)) == 1.0


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_no_step_is_above_one_in_a_short_ramp_or_one_of_unknown_length(steps):
    found = [float(GradualBudget().step_size(progress, 0.1, steps)) for progress in PROGRESS]
    assert found == [1.0] * len(PROGRESS)


def test_the_learning_rate_is_the_step():
    assert float(LearningRateStep().step_size(0.3, 0.25, 100)) == 0.25
    assert LearningRateStep().room(0.3) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("until", value) for value in (0, 1.0, 2, -0.5, float("nan"), "a", None, True)]
    + [("pace", value) for value in (0, 0.5, -1, float("nan"), float("inf"), "a", None)],
)
def test_numbers_outside_their_range_get_one_clear_line(name, value):
    with pytest.raises(InputError, match=f"Expected `{name}` .*Received: {name}={value!r}"):
        GradualBudget(**{name: value})
