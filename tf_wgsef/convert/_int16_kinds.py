"""The operations that have integers in int16x8 files, and by which rule their scales are found."""

# Where the activation and the weights are among the inputs, and which axis of the weights is the channels'.
CHANNELS = {
    "CONV_2D": (0, 1, 0),
    "DEPTHWISE_CONV_2D": (0, 1, 3),
    "FULLY_CONNECTED": (0, 1, 0),
    "TRANSPOSE_CONV": (2, 1, 0),
}
LOOKUP = "GATHER"  # of a constant: a table, such as an embedding's
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
BY_RANGE = {"ABS", "GELU", "LEAKY_RELU", "MEAN", "RELU", "RELU6"}
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
# Where a small difference makes a large one: their inputs are as exact as can be.
EXACT = {
    "CAST",
    "CEIL",
    "EQUAL",
    "FLOOR",
    "FLOOR_DIV",
    "FLOOR_MOD",
    "GREATER",
    "GREATER_EQUAL",
    "LESS",
    "LESS_EQUAL",
    "NOT_EQUAL",
    "ROUND",
}
