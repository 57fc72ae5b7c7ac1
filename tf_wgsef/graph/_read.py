"""Read the graph of a Keras model through its public API: ``get_config()`` and ``operations``."""

import keras

from tf_wgsef.errors import InputError
from tf_wgsef.rules import Call, Shape, TensorKey


def read_calls(model) -> tuple[list[Call], list[TensorKey]]:
    """Returns every application of a layer in ``model``, in order of execution, and the output tensors.

    Args:
        model: a built Sequential or functional ``keras.Model``.

    Returns:
        calls: inputs first; an ``InputLayer`` is a call without inputs.
        outputs: keys of the tensors that the model returns.

    Raises:
        InputError: if a layer of the model has no working ``get_config()``.
    """
    if isinstance(model, keras.Sequential):
        return _read_sequential(model)
    try:
        config = model.get_config()
    except (NotImplementedError, TypeError, ValueError) as error:
        raise InputError(
            f"Expected a model whose layers all have get_config(). Received: model={model.name!r}. "
            f"Keras says: {_first_line(error)}"
        ) from error
    if "output_layers" not in config:
        raise InputError(
            f"Expected a model whose get_config() lists its layers. Received: model={model.name!r}, of "
            f"the class {type(model).__name__} with its own __init__. Pass keras.Model(m.inputs, m.outputs)."
        )
    outputs = _find_histories(config["output_layers"])
    shapes = dict(zip(outputs, (tuple(t.shape) for t in keras.tree.flatten(model.outputs)), strict=True))
    pending = _read_nodes(model, config, shapes)
    return _in_order(pending, shapes), outputs


def _read_sequential(model) -> tuple[list[Call], list[TensorKey]]:
    shape, dtype = tuple(model.inputs[0].shape), model.inputs[0].dtype
    key: TensorKey = ("the model's input", 0, 0)
    source = keras.layers.InputLayer(batch_shape=shape, name="the_model_input")
    calls = [Call(source, (), (key,), (), (shape,))]
    for layer in model.layers:
        result = tuple(layer.compute_output_spec(keras.KerasTensor(shape, dtype)).shape)
        after: TensorKey = (layer.name, 0, 0)
        calls.append(Call(layer, (key,), (after,), (shape,), (result,)))
        key, shape = after, result
    return calls, [key]


def _read_nodes(model, config: dict, shapes: dict[TensorKey, Shape]):
    """Lists (operation, call index, input keys, arguments, extras) of every node; notes input shapes."""
    operations = {operation.name: operation for operation in model.operations}
    nodes = []
    for entry in config["layers"]:
        operation = operations[entry["name"]]
        if isinstance(operation, keras.layers.InputLayer):
            shapes[(operation.name, 0, 0)] = tuple(operation.batch_shape)
            nodes.append((operation, 0, (), (), ""))
        for index, node in enumerate(entry["inbound_nodes"]):
            inputs = []
            for tensor in _find_tensors(node):
                key = _as_key(tensor["keras_history"])
                shapes[key] = tuple(tensor["shape"])
                inputs.append(key)
            is_layer = isinstance(operation, keras.Layer)
            extras = _extras(node) if is_layer else ""
            arguments = () if is_layer else _arguments(node)
            nodes.append((operation, index, tuple(inputs), arguments, extras))
    return nodes


def _in_order(nodes, shapes: dict[TensorKey, Shape]) -> list[Call]:
    """Turns nodes into calls, each after the calls that make its inputs."""
    made: dict[tuple[str, int], list[TensorKey]] = {}
    for key in sorted(shapes):
        made.setdefault(key[:2], []).append(key)
    calls, ready, waiting = [], set(), list(nodes)
    while waiting:
        later = []
        for operation, index, inputs, arguments, extras in waiting:
            if not ready.issuperset(inputs):
                later.append((operation, index, inputs, arguments, extras))
                continue
            outputs = tuple(made.get((operation.name, index), ()))
            ready.update(outputs)
            calls.append(
                Call(
                    operation,
                    inputs,
                    outputs,
                    tuple(shapes[key] for key in inputs),
                    tuple(shapes[key] for key in outputs),
                    arguments,
                    extras,
                )
            )
        if len(later) == len(waiting):
            names = ", ".join(sorted({operation.name for operation, *_ in later}))
            raise InputError(f"Expected a graph without loops. Received: {names} wait for each other.")
        waiting = later
    return calls


def _arguments(node: dict) -> tuple:
    """A raw operation's arguments, None where a tensor stands; those given by name come last."""
    given = [*node["args"], *node["kwargs"].values()]
    return tuple(None if _find_tensors(value) else value for value in given)


def _extras(node: dict) -> str:
    """Arguments of a call that change what the layer computes: a mask, or training=True."""
    arguments = node.get("kwargs") or {}
    names = [name for name, value in arguments.items() if _find_tensors(value)]
    if arguments.get("training"):
        names.append("training=True")
    return ", ".join(names)


def _find_tensors(value) -> list[dict]:
    """All serialized Keras tensors in a node's arguments, in order."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return [value["config"]]
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in _find_tensors(item)]
    return []


def _find_histories(value) -> list[TensorKey]:
    """All [name, call index, output index] in a possibly nested structure, in Keras's order."""
    if isinstance(value, dict):
        return [key for name in sorted(value) for key in _find_histories(value[name])]
    if len(value) == 3 and isinstance(value[0], str) and isinstance(value[1], int):
        return [_as_key(value)]
    return [key for item in value for key in _find_histories(item)]


def _as_key(history) -> TensorKey:
    return (str(history[0]), int(history[1]), int(history[2]))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
