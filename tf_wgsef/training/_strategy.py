"""A model and its wrapper must live on the same devices of ``tf.distribute``."""

from tf_wgsef.errors import InputError


def check_same_strategy(own, variables) -> None:
    """Raises unless the model was made in the scope in which it is wrapped.

    TensorFlow's own errors in this case come from inside the training step and name neither.

    Args:
        own: a variable that the wrapper just made.
        variables: the model's.

    Raises:
        InputError: if only one of the two is spread over devices by a ``tf.distribute.Strategy``, or each
            by another.
    """
    here = _strategy(own)
    for variable in variables:
        there = _strategy(variable)
        if there is not here:
            raise InputError(
                f"Expected the model and its wrapper to be made in the scope of one tf.distribute strategy. "
                f"Received: {variable.path} made {_where(there)}, wrapped {_where(here)}. Build, sparsify "
                f"and compile inside `with strategy.scope():`."
            )


def _strategy(variable):
    return getattr(variable.value, "distribute_strategy", None)


def _where(strategy) -> str:
    return "outside any scope" if strategy is None else f"in that of a {type(strategy).__name__}"
