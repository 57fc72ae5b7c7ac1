"""Which rule answers for a call: the layer's own, or a barrier that says why not."""

from tf_wgsef.rules._barrier import BarrierRule, SourceRule
from tf_wgsef.rules._call import Call
from tf_wgsef.rules._registry import rule_for
from tf_wgsef.rules._rule import LayerRule


def choose_rule(call: Call) -> LayerRule:
    """Returns the rule for ``call``: what it touches stays if nobody has taught one, or it refuses."""
    if not call.inputs:
        return SourceRule()
    rule = rule_for(call.layer)
    if rule is None:
        return BarrierRule("no rule")
    unknown = [name for name in call.extras if name not in rule.understands]
    if unknown:
        return BarrierRule(f"it is called with {', '.join(unknown)}")
    skipped = rule.without_channels(call)
    inputs = [shape for index, shape in enumerate(call.input_shapes) if index not in skipped]
    if any(not shape or not shape[-1] for shape in (*inputs, *call.output_shapes)):
        return BarrierRule("the number of channels is not known")
    reason = rule.refusal(call)
    return BarrierRule(reason) if reason else rule
