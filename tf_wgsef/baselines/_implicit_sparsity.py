"""ImplicitSparsity: how many filters batch norm, ReLU and the optimizer have silenced by themselves."""

import dataclasses

import keras
import numpy as np
from keras import ops

from tf_wgsef.baselines._batches import input_batches
from tf_wgsef.baselines._watch import watched
from tf_wgsef.graph import ChannelGraph, build_channel_graph
from tf_wgsef.validation import check_positive_int

ACTIVATION_BELOW = 1e-12
GAMMA_BELOW = 1e-3


@dataclasses.dataclass(frozen=True)
class InactiveFilters:
    """Which channels of a batch norm are inactive.

    Attributes:
        by_activation: whether max |activation| behind batch norm and ReLU is below 1e-12 over all samples,
            bool of shape (channels,).
        by_gamma: whether |gamma| is below 1e-3, bool of shape (channels,); nowhere without gamma.
    """

    by_activation: np.ndarray
    by_gamma: np.ndarray


def inactive_filters(model, data, *, batch_size: int = 32) -> dict[str, InactiveFilters]:
    """Finds the inactive filters of each batch norm, by both criteria of Mehta et al. 2019.

    Where a ReLU reads the batch norm, and nothing else does, its output is looked at, otherwise the batch
    norm's own. "Inactive" by the first criterion says something of these samples only: ``tf_wgsef.strip``
    removes what is constant for every input, such as a gamma of exactly 0.

    Args:
        model: a built Sequential or functional ``keras.Model``, or a wrapper with one in ``.model``; nested
            models are looked into, layers inside other layers (``TimeDistributed``) are not.
        data: its inputs: an array, a list or dict of arrays, or a dataset of batches (of inputs, or of
            tuples that begin with them).
        batch_size: of batches that are cut from arrays.

    Returns:
        {path of the batch norm: its inactive filters}, in order of execution.

    Raises:
        InputError: if the model cannot be read, or there is no sample.

    Example:
        >>> import keras, numpy as np
        >>> from tf_wgsef.baselines import inactive_filters
        >>> norm = keras.layers.BatchNormalization(name="bn")
        >>> model = keras.Sequential([keras.Input((3,)), norm, keras.layers.ReLU()])
        >>> norm.beta.assign([0.0, -9.0, 0.0]), norm.gamma.assign([1.0, 1.0, 0.0])  # doctest: +ELLIPSIS
        (...)
        >>> found = inactive_filters(model, np.ones((4, 3)))["bn"]
        >>> found.by_activation.tolist(), found.by_gamma.tolist()
        ([False, True, True], [False, False, True])
    """
    batch_size = check_positive_int("batch_size", batch_size)
    graph = build_channel_graph(model)
    norms = _batch_norms(graph)
    after = {layer: _relu_behind(graph, layer) for layer in norms.values()}
    largest = {}

    def see(layer, outputs):
        outputs = ops.cast(outputs, "float32")
        if after[layer] is not None:
            outputs = after[layer](outputs)
        axis = layer.axis % len(outputs.shape)
        others = tuple(one for one in range(len(outputs.shape)) if one != axis)
        now = ops.convert_to_numpy(ops.max(ops.abs(outputs), axis=others))
        largest[layer] = np.maximum(largest.get(layer, 0.0), now)

    with watched(after, see):
        for batch in input_batches(data, batch_size):
            graph.model(batch, training=False)
    return {
        name: InactiveFilters(largest[layer] < ACTIVATION_BELOW, _small_gamma(layer, largest[layer]))
        for name, layer in norms.items()
    }


class ImplicitSparsity(keras.callbacks.Callback):
    """Counts, after each epoch, the filters that have become inactive without a penalty.

    Mehta et al. 2019 (arXiv:1811.12495): batch norm, ReLU, an adaptive optimizer and L2 leave dead filters,
    Adam more than SGD. Adds ``inactive_by_activation`` and ``inactive_by_gamma``, counts over all batch
    norms, to the epoch's logs; put it before callbacks that are to see them.

    Args:
        data: inputs to look at; the paper takes all training samples. See ``inactive_filters``.
        batch_size: of batches that are cut from arrays.

    Attributes:
        history: for each epoch, {path of the batch norm: its ``InactiveFilters``}.

    Example:
        ``model.fit(x, y, callbacks=[ImplicitSparsity(x)])``
    """

    def __init__(self, data, *, batch_size: int = 32):
        super().__init__()
        self.data, self.batch_size = data, check_positive_int("batch_size", batch_size)
        self.history: list[dict[str, InactiveFilters]] = []

    def on_epoch_end(self, epoch, logs=None):
        """Measures, and adds the counts to ``logs``."""
        found = inactive_filters(self.model, self.data, batch_size=self.batch_size)
        self.history.append(found)
        if logs is not None:
            for criterion in ("by_activation", "by_gamma"):
                count = sum(int(getattr(one, criterion).sum()) for one in found.values())
                logs[f"inactive_{criterion}"] = count


def _batch_norms(graph: ChannelGraph) -> dict[str, keras.Layer]:
    """{path: layer} of the batch norms that models apply; those inside other layers run out of sight."""
    applied = {id(call.layer) for reading, _ in graph.scopes.values() for call in reading.calls}
    return {
        call.name: call.layer
        for call in graph.calls
        if isinstance(call.layer, keras.layers.BatchNormalization) and id(call.layer) in applied
    }


def _relu_behind(graph: ChannelGraph, layer):
    """The ReLU that reads the layer's outputs, if nothing else does, or None."""
    outputs = {key for call in graph.calls if call.layer is layer for key in call.outputs}
    readers = [call.layer for call in graph.calls if not outputs.isdisjoint(call.inputs)]
    alone = outputs.isdisjoint(graph.outputs) and readers and all(map(_is_relu, readers))
    return readers[0] if alone else None


def _is_relu(layer) -> bool:
    if isinstance(layer, keras.layers.Activation):
        return layer.activation in (keras.activations.relu, keras.activations.relu6)
    if isinstance(layer, keras.Layer):
        return isinstance(layer, keras.layers.ReLU)
    return type(layer).__name__ in ("Relu", "Relu6")  # keras.ops.relu in the graph


def _small_gamma(layer, like: np.ndarray) -> np.ndarray:
    if not layer.scale:
        return np.zeros(like.shape, bool)
    return np.abs(ops.convert_to_numpy(layer.gamma)) < GAMMA_BELOW
