"""Read the graph of a Keras model through its public API: ``get_config()`` and ``operations``."""

import dataclasses

import keras

from tf_wgsef.errors import InputError
from tf_wgsef.rules import Call, Shape, TensorKey
from tf_wgsef.terminal_text import first_line


@dataclasses.dataclass(frozen=True)
class Reading:
    """A model as a list of calls. A nested model is one call; ``expand`` looks inside.

    Attributes:
        calls: every application of a layer, in order of execution; an ``InputLayer`` is a call without
            inputs.
        inputs: keys of the model's input tensors, flat in Keras's order.
        outputs: keys of the tensors that the model returns, likewise.
    """

    calls: tuple[Call, ...]
    inputs: tuple[TensorKey, ...]
    outputs: tuple[TensorKey, ...]


def read_calls(model) -> Reading:
    """Reads every application of a layer in ``model``, and its input and output tensors.

    Args:
        model: a built Sequential or functional ``keras.Model``.

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
            f"Keras says: {first_line(error)}"
        ) from error
    if "output_layers" not in config:
        raise InputError(
            f"Expected a model whose get_config() lists its layers. Received: model={model.name!r}, of "
            f"the class {type(model).__name__} with its own __init__. Pass keras.Model(m.inputs, m.outputs)."
        )
    inputs = _find_histories(config["input_layers"])
    outputs = [_renumbered(model, key) for key in _find_histories(config["output_layers"])]
    shapes, dtypes = {}, {}
    for key, tensor in zip(outputs, keras.tree.flatten(model.outputs), strict=True):
        shapes[key] = tuple(tensor.shape)
        dtypes[key] = keras.backend.standardize_dtype(tensor.dtype)
    pending = _read_nodes(model, config, shapes, dtypes)
    return Reading(tuple(_in_order(pending, shapes, dtypes)), tuple(inputs), tuple(outputs))


def _read_sequential(model) -> Reading:
    shape, dtype = tuple(model.inputs[0].shape), model.inputs[0].dtype
    start = key = ("the model's input", 0, 0)
    source = keras.layers.InputLayer(batch_shape=shape, name="the_model_input")
    calls = [Call(source, (), (key,), (), (shape,))]
    outputs: tuple[TensorKey, ...] = (start,)
    for layer in model.layers:
        results = keras.tree.flatten(layer.compute_output_spec(keras.KerasTensor(shape, dtype)))
        outputs = tuple((layer.name, 0, number) for number in range(len(results)))
        calls.append(
            Call(
                layer,
                (key,),
                outputs,
                (shape,),
                tuple(tuple(one.shape) for one in results),
                ("0",),
                numbers=tuple(range(len(results))),
                dtypes=tuple(keras.backend.standardize_dtype(one.dtype) for one in results),
            )
        )
        key, shape, dtype = outputs[0], tuple(results[0].shape), results[0].dtype
    return Reading(tuple(calls), (start,), outputs)


def _read_nodes(model, config: dict, shapes: dict[TensorKey, Shape], dtypes: dict[TensorKey, str]):
    """Lists the calls, as yet without output keys and shapes; notes the shapes and dtypes of all tensors."""
    operations = {operation.name: operation for operation in model.operations}
    nodes = []
    for entry in config["layers"]:
        operation = operations[entry["name"]]
        if isinstance(operation, keras.layers.InputLayer):
            shapes[(operation.name, 0, 0)] = tuple(operation.batch_shape)
            nodes.append((operation, 0, Call(operation, (), (), (), ())))
        for index, node in enumerate(entry["inbound_nodes"]):
            keys, given = [], []
            for name, tensor in _passed(node):
                key = _as_key(tensor["keras_history"])
                shapes[key], dtypes[key] = tuple(tensor["shape"]), tensor["dtype"]
                keys.append(key)
                given.append(name)
            is_layer = isinstance(operation, keras.Layer)
            arguments = () if is_layer else _arguments(node)
            extras = _extras(node) if is_layer else ()
            call = Call(operation, tuple(keys), (), (), (), tuple(given), arguments, extras)
            nodes.append((operation, index, call))
    return nodes


def _in_order(nodes, shapes: dict[TensorKey, Shape], dtypes: dict[TensorKey, str]) -> list[Call]:
    """Completes the calls, each after the calls that make its inputs."""
    made: dict[tuple[str, int], list[TensorKey]] = {}
    for key in sorted(shapes):
        made.setdefault(key[:2], []).append(key)
    calls, ready, waiting = [], set(), list(nodes)
    while waiting:
        later = []
        for operation, index, call in waiting:
            if not ready.issuperset(call.inputs):
                later.append((operation, index, call))
                continue
            outputs = tuple(made.get((operation.name, index), ()))
            ready.update(outputs)
            calls.append(
                dataclasses.replace(
                    call,
                    outputs=outputs,
                    numbers=tuple(number for _, _, number in outputs),
                    dtypes=tuple(dtypes.get(key, "") for key in outputs),
                    input_shapes=tuple(shapes[key] for key in call.inputs),
                    output_shapes=tuple(shapes[key] for key in outputs),
                )
            )
        if len(later) == len(waiting):
            names = ", ".join(sorted({operation.name for operation, *_ in later}))
            raise InputError(f"Expected a graph without loops. Received: {names} wait for each other.")
        waiting = later
    return calls


def _passed(node: dict) -> list[tuple[str, dict]]:
    """The tensors of a node, each with the position or the name that it was passed by."""
    named = [(str(position), value) for position, value in enumerate(node["args"])]
    named += sorted((node.get("kwargs") or {}).items())
    named = [
        (f"{name}.{key}", inner) if _is_plain_dict(value) else (name, value)
        for name, value in named
        for key, inner in (sorted(value.items()) if _is_plain_dict(value) else [("", value)])
    ]
    return [(name, tensor) for name, value in named for tensor in _find_tensors(value)]


def _is_plain_dict(value) -> bool:
    """A dict that the caller passed, rather than an object that Keras serialized as one."""
    return isinstance(value, dict) and "class_name" not in value


def _arguments(node: dict) -> tuple:
    """A raw operation's arguments, None where a tensor stands; those given by name come last, sorted."""
    given = [*node["args"], *(value for _, value in sorted(node["kwargs"].items()))]
    return tuple(None if _find_tensors(value) else value for value in given)


def _extras(node: dict) -> tuple[str, ...]:
    """Arguments of a call that change what the layer computes: a mask, or training=True."""
    arguments = node.get("kwargs") or {}
    names = [name for name, value in arguments.items() if name != "inputs" and _find_tensors(value)]
    if arguments.get("training"):
        names.append("training=True")
    if arguments.get("return_attention_scores"):
        names.append("return_attention_scores=True")
    return tuple(names)


def _find_tensors(value) -> list[dict]:
    """All serialized Keras tensors in a node's arguments, in order."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return [value["config"]]
        value = [value[key] for key in sorted(value)]
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


def _renumbered(model, key: TensorKey) -> TensorKey:
    """Keras counts a nested functional model's calls from 1 in the list of outputs, from 0 elsewhere."""
    layer = next(operation for operation in model.operations if operation.name == key[0])
    is_functional = isinstance(layer, keras.Model) and not isinstance(layer, keras.Sequential)
    return (key[0], key[1] - 1, key[2]) if is_functional else key


def _as_key(history) -> TensorKey:
    return (str(history[0]), int(history[1]), int(history[2]))
