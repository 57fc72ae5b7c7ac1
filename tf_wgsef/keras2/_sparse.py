"""2:4 sparsity: of four weights in a row along the input channels two are zero."""

import numpy as np

WHAT, NONE = (
    "2:4 sparse",
    "no Conv2D or Dense has a multiple of four as input channels: strip with round_to=4",
)


class _Masks:
    """Keeps the masks: chosen before the first step, applied once more after each epoch."""

    def __init__(self, callback):
        self._callback = callback

    def begin(self, model) -> None:
        self._callback.set_model(model)
        self._callback.on_train_begin()

    def __call__(self, epoch: int) -> None:
        self._callback.on_epoch_end(epoch)


def wrap(bridge, job: dict):
    """Returns the model to train, the layers that become sparse, and what to do after an epoch.

    Args:
        bridge: the rebuilt model.
        job: nothing of it is needed.
    """
    import tensorflow_model_optimization as tfmot
    import tf_keras

    api, chosen = tfmot.sparsity.keras, []
    paths = {
        layer.name: entry["path"]
        for layer, entry in zip(bridge.layers, bridge.description["layers"], strict=True)
    }

    def clone(layer):
        if type(layer) not in (tf_keras.layers.Conv2D, tf_keras.layers.Dense) or layer.kernel.shape[-2] % 4:
            return layer
        chosen.append(paths[layer.name])
        schedule = api.ConstantSparsity(0.5, begin_step=0, frequency=1)
        return api.prune_low_magnitude(layer, pruning_schedule=schedule, sparsity_m_by_n=(2, 4))

    model = tf_keras.models.clone_model(bridge.model, clone_function=clone)
    return model, chosen, _Masks(api.UpdatePruningStep())


def unwrap(model, bridge) -> list[list[np.ndarray]]:
    """Returns the arrays of each layer of the description."""
    import tensorflow_model_optimization as tfmot

    plain = tfmot.sparsity.keras.strip_pruning(model)
    return [plain.get_layer(layer.name).get_weights() if layer.weights else [] for layer in bridge.layers]
