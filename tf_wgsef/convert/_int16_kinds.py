"""Which operations of an int16x8 file compute with integers, and by which rule their scales are found."""

# Where the activation and the weights are among the inputs, and which axis of the weights is the channels'.
CHANNELS = {
    "CONV_2D": (0, 1, 0),
    "DEPTHWISE_CONV_2D": (0, 1, 3),
    "FULLY_CONNECTED": (0, 1, 0),
    "TRANSPOSE_CONV": (2, 1, 0),
}
_LOOKUP = "GATHER"  # of a constant: a table, such as an embedding's
PAIRS = {"ADD", "BATCH_MATMUL", "MUL", "SUB"}  # of two activations, or of one and a constant
TO_ONE_SCALE = {"CONCATENATION", "MAXIMUM", "MINIMUM", "PACK"}  # that of the output
# Where the activation is whose scale the outputs keep.
SAME_SCALE = {
    "AVERAGE_POOL_2D": 0,
    "GATHER": 0,
    "MAX_POOL_2D": 0,
    "MIRROR_PAD": 0,
    "PAD": 0,
    "REDUCE_MAX": 0,
    "REDUCE_MIN": 0,
    "RESHAPE": 0,
    "RESIZE_BILINEAR": 0,
    "RESIZE_NEAREST_NEIGHBOR": 0,
    "REVERSE_V2": 0,
    "SLICE": 0,
    "SPLIT": 1,
    "SPLIT_V": 0,
    "STRIDED_SLICE": 0,
    "TILE": 0,
    "TRANSPOSE": 0,
    "UNPACK": 0,
}
WITHIN_ONE = {"LOGISTIC", "SOFTMAX", "TANH"}
# RSQRT, EXP and LOG are not here: where most of what they give is far below its largest, steps of one size
# lose it. Nor is SUM, which LiteRT computes wrongly in int16.
_BY_RANGE = {"ABS", "GELU", "LEAKY_RELU", "MEAN", "RELU", "RELU6"}
VERSIONS = {  # of the others: 2
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "RESHAPE": 1,
    "RESIZE_BILINEAR": 3,
    "REVERSE_V2": 3,
    "TILE": 3,
    "TRANSPOSE_CONV": 3,
    "UNPACK": 1,
}


def types_of(graph) -> list[str]:
    """Returns what each operation gives: int16, int8 if it looks rows of a table up, float32 if it is left.

    What was made in float stays so until it meets integers or weights: a variance that is quantized between
    the operations of a normalization can be next to 0 where it should not.

    Args:
        graph: the float file, as ``read_graph`` returns it.
    """
    types, floats = [], set()
    for operation in graph.operations:
        dtype = _type(operation, graph.tensors)
        given = {n for n in operation.inputs if n >= 0 and _computed(graph.tensors[n])}
        if dtype == "int16" and operation.kind not in CHANNELS and given <= floats:
            dtype = "float32"
        if dtype == "float32":
            floats.update(operation.outputs)
        types.append(dtype)
    return types


def _type(operation, tensors) -> str:
    kind, given = operation.kind, [None if n < 0 else tensors[n] for n in operation.inputs]
    if any(tensors[number].dtype != "float32" for number in operation.outputs):
        return "float32"
    if kind == _LOOKUP and _constant(given[0]):
        return "int8"
    if kind in CHANNELS:
        source, weights, _ = CHANNELS[kind]
        constants = [given[weights], *given[max(source, weights) + 1 :]]
        fits = _computed(given[source]) and all(one is None or _constant(one) for one in constants)
    elif kind in PAIRS | TO_ONE_SCALE:
        fits = any(map(_computed, given)) and all(_computed(one) or _constant(one) for one in given)
    elif kind in SAME_SCALE:
        fits = _computed(given.pop(SAME_SCALE[kind])) and all(one.dtype == "int32" for one in given)
    else:
        known = kind in WITHIN_ONE | _BY_RANGE
        fits = known and all(_computed(one) or one.dtype == "int32" for one in given)
    return "int16" if fits else "float32"


def _computed(tensor) -> bool:
    return tensor.dtype == "float32" and not tensor.stored


def _constant(tensor) -> bool:
    return tensor.dtype == "float32" and tensor.stored > 0 and not tensor.sparse
