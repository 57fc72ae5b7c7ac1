"""Rules of one's own that are wrong: the error names the layer and what does not fit."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_wgsef
from tests import models
from tf_wgsef.errors import InputError, StripError
from tf_wgsef.rules import LayerRule, MixingRule, ParameterAxis


class Narrow(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units, self.use_bias = units, False

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")

    def call(self, x):
        return x @ self.kernel

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def model_with(rule):
    tf_wgsef.register_rule(Narrow)(rule)
    stack = [
        keras.Input((4,)),
        layers.Dense(6, name="d"),
        Narrow(5, name="narrow"),
        layers.Dense(2, name="out"),
    ]
    model = models.randomize(keras.Sequential(stack))
    model.get_layer("narrow").kernel.assign(np.zeros((6, 5)) + (np.arange(5) < 3))
    return model


class ForgetsResize(MixingRule):
    def resize(self, call, config, inputs, outputs):
        return config

    def sums_alike_everywhere(self, call):
        return True


class WrongForward(LayerRule):
    pass


class TiesTooFew(LayerRule):
    def tie(self, call, inputs, ties):
        return [ties.fresh(3)]


class Misspelt(MixingRule):
    def parameters(self, call, inputs, outputs):
        return [ParameterAxis(call.layer.kernel, 1, outputs[0], "makes")]


class ForwardTooShort(MixingRule):
    count_key = "units"

    def forward(self, call, values):
        return [np.full(3, np.nan)]

    def sums_alike_everywhere(self, call):
        return True


@pytest.mark.parametrize(
    ("rule", "error", "message"),
    [
        (ForgetsResize, StripError, "kernel.*'narrow'.*resize"),
        (WrongForward, InputError, "WrongForward.tie.*5"),
        (TiesTooFew, InputError, "TiesTooFew.tie.*'narrow'"),
        (Misspelt, InputError, "role.*'makes'"),
        (ForwardTooShort, InputError, "ForwardTooShort.forward.*'narrow'"),
    ],
)
def test_the_error_names_the_rule_or_the_layer(rule, error, message, rules_restored):
    with pytest.raises(error, match=message):
        tf_wgsef.strip(model_with(rule))
