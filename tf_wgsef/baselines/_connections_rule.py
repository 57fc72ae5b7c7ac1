"""What sparse connections cost; for channels they are a barrier, since each filter sees inputs of its own."""

from tf_wgsef.baselines._sparse_connections import SparseConnections2D
from tf_wgsef.rules import BarrierRule, Call, positions, register_rule


@register_rule(SparseConnections2D)
class SparseConnectionsRule(BarrierRule):
    """All channels stay. What is multiplied is the kernel: with its zeros if masked, its share if grouped."""

    def __init__(self):
        super().__init__("its connections are random; see tf_wgsef.baselines.plain_convolutions")

    def work(self, call: Call) -> list[tuple]:
        return [(call.layer.kernel, positions(call.output_shapes[0]))]
