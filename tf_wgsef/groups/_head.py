"""Groups of kind ``head``: the heads of an attention."""

import numpy as np

from tf_wgsef.graph import ChannelGraph
from tf_wgsef.groups._draft import Draft, Slices
from tf_wgsef.rules import ProjectedAttentionRule


def head_groups(graph: ChannelGraph, layers: set[str], skip: set[str]) -> Draft:
    """One group per head: its slices of the projections of queries, keys and values, biases included.

    Without values a head adds nothing, and ``strip`` removes it. Query heads that share a key head go
    together (Voita et al. 2019, "Analyzing Multi-Head Self-Attention", prune single heads).

    Args:
        graph: the channel graph of the model.
        layers: names of the attention layers whose heads may be grouped.
        skip: names of attention layers to leave alone.
    """
    sizes: dict[str, int] = {}
    slices = []
    for compound in graph.compounds.values():
        name, rule = compound.call.name, compound.rule
        if not isinstance(rule, ProjectedAttentionRule) or name not in layers or name in skip:
            continue
        _, heads = rule.heads(compound.call.layer)
        parts = {id(part.layer) for part in compound.parts}
        for call, axes in zip(graph.calls, graph.parameters, strict=True):
            for axis in axes if id(call.layer) in parts else ():
                if axis.role == "inner":
                    rows = axis.ids.shape[0]
                    ids = np.arange(rows) // (rows // heads) + sum(sizes.values())
                    slices.append(Slices(axis.variable, axis.axes[:1], ids))
        sizes[name] = sizes.get(name, 0) + heads
    return Draft("head", sizes, tuple(slices))
