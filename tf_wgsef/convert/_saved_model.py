"""A Keras model as the SavedModel that TensorFlow's converter reads.

It holds the model's variables: as constants in its graph they were copied over and over, 28 times the model's
size in memory against 7 (ConvNeXtBase).
"""

import contextlib

from tf_wgsef.errors import ConversionError

from ._flat import output_names
from ._fold import folded_values
from ._memory import is_large

SIGNATURE = "serving_default"


def save_model(flat, specs, folder, batch_size, loops):
    """Writes the SavedModel.

    In a function of its own, so that its graph is freed before the conversion.

    Args:
        flat: a functional Keras model with flat lists of inputs and outputs.
        specs: its inputs, as ``input_specs`` returns them.
        folder: where to.
        batch_size: the fixed batch.
        loops: whether its graph may hold loops.

    Raises:
        ConversionError: on a loop, unless ``loops``.
    """
    import tensorflow as tf

    values = folded_values(flat) if is_large(flat) else ()
    folded = [(variable, tf.Variable(value)) for variable, value in values]
    serve = _serving_function(flat, specs, batch_size, folded)
    if not loops:
        _check_no_loop(flat, serve)
    module = tf.Module()
    instead = {id(variable): value for variable, value in folded}
    module.held = [instead.get(id(variable), variable.value) for variable in flat.variables]
    tf.saved_model.save(module, folder, signatures={SIGNATURE: serve})


def _serving_function(flat, specs, batch_size, folded):
    """Returns the model as a ``tf.function`` with named inputs and outputs."""
    import keras
    import tensorflow as tf

    names = output_names(flat)

    def serve(*inputs):
        with keras.StatelessScope(state_mapping=folded) if folded else contextlib.nullcontext():
            outputs = flat(list(inputs), training=False)
        # An identity apiece, so that one tensor may be two outputs, or an input an output.
        return {name: tf.identity(out) for name, out in zip(names, keras.tree.flatten(outputs), strict=True)}

    signature = [tf.TensorSpec((batch_size, *s.shape), s.dtype, name=s.name) for s in specs]
    # Without autograph: it would leave generated files behind, and Keras layers do without.
    return tf.function(serve, input_signature=signature, autograph=False)


def _check_no_loop(flat, serve):
    """Raises on a loop in the graph: calibrating one ends the process (a segmentation fault)."""
    graph = serve.get_concrete_function().graph.as_graph_def()
    functions = [graph.node, *(function.node_def for function in graph.library.function)]
    if any(node.op in ("While", "StatelessWhile") for nodes in functions for node in nodes):
        raise ConversionError(
            f"Expected a model without loops to calibrate. Received: "
            f"model={flat.name!r}, whose recurrent layers or keras.ops loops TensorFlow cannot "
            f"calibrate. Build recurrent layers with unroll=True, or use "
            f'quantization="dynamic".'
        )
