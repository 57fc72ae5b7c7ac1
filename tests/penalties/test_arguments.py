"""What every penalty says of its arguments, in its config and in errors; the penalties come from cases.py."""

import json

import keras
import numpy as np
import pytest

from tests.penalties.cases import every
from tf_wgsef.errors import InputError
from tf_wgsef.penalties import GroupPenalty


@every
def test_config_round_trip(case):
    penalty = case.make(strength=0.7)
    config = json.loads(json.dumps(penalty.get_config()))
    again = type(penalty).from_config(config)
    assert again.get_config() == penalty.get_config() and again.strength == 0.7
    assert isinstance(again, GroupPenalty) and repr(again) == repr(penalty)
    saved = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(penalty))
    assert saved.get_config() == penalty.get_config()


@every
def test_with_budget(case):
    penalty = case.make(strength=0.7)
    other = penalty.with_budget(5)
    if penalty.k is None:
        assert other is penalty
    else:
        assert (other.k, other.strength, penalty.k) == (5, 0.7, 3)


BAD = {
    "strength": (lambda c: c.make(strength=-1.0), r"`strength`.*Received: strength=-1.0"),
    "step": (lambda c: c.make().factors([1.0], -0.1), r"`step_size`.*Received: step_size=-0.1"),
    "nan step": (lambda c: c.make().factors([1.0], np.nan), r"`step_size`.*step_size=nan"),
    "word": (lambda c: c.make().factors([1.0], ["a"]), r"`step_size`.*Received"),
    "scalar": (lambda c: c.make().value(1.0), r"`norms` of shape \(\.\.\., num_groups\)"),
    "weights shape": (
        lambda c: c.make().value([1.0, 2.0], [1.0, 2.0, 3.0]),
        r"one weight per group, shape \(2,\).*Received: weights.shape=\(3,\)",
    ),
    "negative weight": (
        lambda c: c.make().factors([1.0, 2.0], 0.1, [1.0, -2.0]),
        r"`weights` to be finite and at least 0.*weight of -2",
    ),
}


@every
@pytest.mark.parametrize("what", BAD)
def test_bad_arguments_raise_with_text(case, what):
    call, text = BAD[what]
    with pytest.raises(InputError, match=text):
        call(case)
