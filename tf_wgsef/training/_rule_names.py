"""The update rules by name."""

from tf_wgsef.errors import InputError
from tf_wgsef.training._adahspg import AdaHSPGPlus
from tf_wgsef.training._gradual_removal import GradualRemoval
from tf_wgsef.training._hspg import HSPG
from tf_wgsef.training._mixed_prox import MixedProx
from tf_wgsef.training._sparse_prox import SparseProx
from tf_wgsef.training._update_rules import Prox, UpdateRule

_RULES = {
    "prox": Prox,
    "hspg": HSPG,
    "adahspg+": AdaHSPGPlus,
    "sparse": SparseProx,
    "gradual": GradualRemoval,
    "mixed": MixedProx,
}


def update_rule(update: str | UpdateRule) -> UpdateRule:
    """Returns the rule that ``update`` names, or ``update`` itself if it is one.

    Raises:
        InputError: for anything else.
    """
    if isinstance(update, UpdateRule):
        return update
    if not isinstance(update, str) or update not in _RULES:
        raise InputError(
            f"Expected `update` to be one of {sorted(_RULES)}, or an UpdateRule. Received: update={update!r}."
        )
    return _RULES[update]()
