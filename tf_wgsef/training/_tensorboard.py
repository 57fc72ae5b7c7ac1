"""Live groups per layer in TensorBoard, beside Keras's own curves."""

import importlib.util

import keras

from tf_wgsef.errors import InputError
from tf_wgsef.training._proximal_model import ProximalModel


class GroupTensorBoard(keras.callbacks.TensorBoard):
    """``keras.callbacks.TensorBoard`` that also writes how many groups of each layer are alive.

    Takes the same arguments. Needs the package ``tensorboard`` (``pip install "tf-wgsef[report]"``).

    Raises:
        InputError: if ``tensorboard`` is not installed, or the model has no groups to count.

    Example:
        ``sparse.fit(x, y, callbacks=[tf_wgsef.GroupTensorBoard("logs")])``, then
        ``tensorboard --logdir logs``.
    """

    def __init__(self, log_dir="logs", **kwargs):
        if importlib.util.find_spec("tensorboard") is None:
            raise InputError(
                "Expected the package tensorboard. Received: it is not installed. "
                'Run: python -m pip install "tf-wgsef[report]"'
            )
        super().__init__(log_dir=log_dir, **kwargs)

    def set_model(self, model):
        """Takes the model that is trained, which must count its groups."""
        if not isinstance(model, ProximalModel):
            raise InputError(
                f"Expected a ProximalModel, whose groups can be counted. Received: model={model.name!r}, "
                f"a {type(model).__name__}. Wrap it: tf_wgsef.sparsify(model, sparsity=0.75)."
            )
        super().set_model(model)

    def on_epoch_end(self, epoch, logs=None):
        """Adds ``live_groups/<layer>`` to the epoch's values."""
        live = {f"live_groups/{layer}": n for layer, n in self.model.live_groups().items()}
        super().on_epoch_end(epoch, {**(logs or {}), **live})
