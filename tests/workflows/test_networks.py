"""The networks are those of the papers, and the pipeline can shrink each of them."""

import math

import pytest

import tf_wgsef
from tf_wgsef.workflows import networks

# Parameters and MACs of one image: exact where a reference model is public, else to the published digits.
PUBLISHED = {
    "lenet5": (431_080, 2_293_000, 0),  # Wen et al. 2016, with all biases
    "resnet8": (78_666, 12.5e6, 0.01),  # MLPerf Tiny ic01
    "resnet20": (0.27e6, 41e6, 0.03),  # He et al. 2016, Table 6
    "resnet56": (0.85e6, 126e6, 0.03),
    "resnet18": (11.17e6, 0.56e9, 0.01),
    "vgg16_bn": (15.0e6, 313e6, 0.01),
    "densenet40": (1.0e6, 0.28e9, 0.07),  # Huang et al. 2017, Table 2; MACs as Network Slimming counts them
    "mobilenet_v1_025": (221_794, 7.72e6, 0.01),  # MLPerf Tiny vww01
    "ds_cnn": (24_908, 2.73e6, 0.01),  # MLPerf Tiny kws01
    "small_vit": (0.69e6, 46e6, 0.05),  # ours
}


LARGE = ("resnet20", "resnet56", "resnet18", "vgg16_bn", "densenet40", "mobilenet_v1_025")
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in PUBLISHED]


@pytest.mark.parametrize("name", NAMES)
def test_the_network_costs_what_is_published(name):
    parameters, macs, slack = PUBLISHED[name]
    costs = tf_wgsef.profile(getattr(networks, name)())
    assert costs.parameters == pytest.approx(parameters, rel=slack + 1e-9)
    assert costs.macs == pytest.approx(macs, rel=slack + 1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_half_of_its_filters_can_go(name):
    """No layer meets one without a rule, and strip proves the cut."""
    model = getattr(networks, name)()
    sparse = tf_wgsef.sparsify(model, sparsity=0.5)
    sparse.freeze()
    result = tf_wgsef.strip(sparse)
    # Layer normalization counts zeros, so the transformer keeps its width: only what is inside blocks goes.
    share = 0.75 if name == "small_vit" else 0.6
    assert tf_wgsef.profile(result.model).macs < share * tf_wgsef.profile(model).macs
    assert math.isfinite(result.max_abs_diff)
