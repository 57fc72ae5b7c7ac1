"""What a random model is made of: layers by the rank of their input, and blocks of several layers."""

# {rank with the batch axis: {function(maker, shape without it) -> layer, None if it does not fit: weight}}
LAYERS: dict[int, dict] = {2: {}, 3: {}, 4: {}, 5: {}}

# {rank: {function(maker, tensor) -> tensor or None: weight}}
BLOCKS: dict[int, dict] = {2: {}, 3: {}, 4: {}, 5: {}}


def register(table: dict, *ranks: int, weight: float = 1.0):
    """Decorator: the function applies to tensors of these ranks, with this weight in the draw."""

    def add(function):
        for rank in ranks or table:
            table[rank][function] = weight
        return function

    return add


def draw_layer(maker, shape):
    """A random layer for tensors of ``shape`` (without the batch axis)."""
    while True:
        layer = maker.weighted(LAYERS[len(shape) + 1])(maker, tuple(shape))
        if layer is not None:
            return layer


def apply_layer(maker, x):
    """A random layer, applied to ``x``."""
    return draw_layer(maker, x.shape[1:])(x)


def apply_block(maker, x):
    """A random block, applied to ``x``."""
    while True:
        result = maker.weighted(BLOCKS[len(x.shape)])(maker, x)
        if result is not None:
            return result
