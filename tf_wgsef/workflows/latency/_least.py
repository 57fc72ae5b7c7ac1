"""The smallest latency that a table allows."""

import numpy as np

from tf_wgsef.groups import GroupCosts, LatencyTable, build_groups


def least_latency(model, table: LatencyTable) -> float:
    """Returns the microseconds that are left when every layer keeps a single filter or unit.

    Args:
        model: the model of the table.
        table: its latencies.

    Raises:
        InputError: if the table is of another model.

    Example:
        ``least_latency(model, table) / table.predict(model)`` is the smallest share to ask for.
    """
    groups = build_groups(model)
    stays = np.zeros(groups.num_groups, bool)
    stays[np.unique(groups.layer_of, return_index=True)[1]] = True
    return GroupCosts(model, groups, "latency", table).total(stays)
