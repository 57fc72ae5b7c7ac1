"""Weight clustering: each kernel takes few different values, which compress well."""

import numpy as np

WHAT, NONE = "clustered", "no convolution or dense layer has more different weights than there are clusters"


def wrap(bridge, job: dict):
    """Returns the model to train, the layers that are clustered, and what to do after an epoch.

    Args:
        bridge: the rebuilt model.
        job: "clusters".
    """
    import tensorflow_model_optimization as tfmot
    import tf_keras

    api, chosen = tfmot.clustering.keras, []
    kinds = tuple(
        getattr(tf_keras.layers, kind) for kind in ("Conv1D", "Conv2D", "Conv2DTranspose", "Conv3D", "Dense")
    )
    paths = {layer.name: entry for layer, entry in _pairs(bridge)}

    def clone(layer):
        # Other classes derive from these (depthwise convolutions): only what the library clusters.
        if type(layer) not in kinds or len(np.unique(layer.get_weights()[0])) <= job["clusters"]:
            return layer
        chosen.append(paths[layer.name]["path"])
        return api.cluster_weights(
            layer,
            number_of_clusters=job["clusters"],
            cluster_centroids_init=api.CentroidInitialization.KMEANS_PLUS_PLUS,
        )

    return tf_keras.models.clone_model(bridge.model, clone_function=clone), chosen, None


def unwrap(model, bridge) -> list[list[np.ndarray]]:
    """Returns the arrays of each layer of the description."""
    import tensorflow_model_optimization as tfmot

    plain = tfmot.clustering.keras.strip_clustering(model)
    return [plain.get_layer(layer.name).get_weights() if layer.weights else [] for layer in bridge.layers]


def _pairs(bridge):
    return zip(bridge.layers, bridge.description["layers"], strict=True)
