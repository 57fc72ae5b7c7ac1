"""The callback that leads the schedule through ``fit`` and makes the final choice."""

import keras
from absl import logging


class LevelCallback(keras.callbacks.Callback):
    """Moves the ramp on, chooses the survivors when it ends, and holds the level when training ends.

    ``ProximalModel.fit`` adds it by itself, after the user's callbacks, so that what those restore or
    average at the end (early stopping, EMA) is projected again.

    Args:
        others: the user's callbacks.
    """

    def __init__(self, others=()):
        super().__init__()
        self._others = tuple(others)
        self._begun = False

    def set_model(self, model):
        super().set_model(model)
        self._position = model.position

    def on_epoch_begin(self, epoch, logs=None):
        if not self._begun:
            self._warn_of_repeated_batches(epoch)
            # Only now is the first epoch known: BackupAndRestore sets it after on_train_begin.
            ramp_end = self.model.begin_ramp(self.params.get("epochs") or 1, initial_epoch=epoch)
            self._warn_of_early_stops(ramp_end)
            self._begun = True
        # None for a generator of unknown length, which shows it when an epoch of it is over.
        self.model.begin_epoch(epoch, self.params.get("steps"))

    def _warn_of_repeated_batches(self, epoch: int) -> None:
        restored = self.model.position != self._position
        before, seen = self.model.position
        if restored and before == epoch and seen:
            logging.warning(
                "The restored run is not exact: epoch %d begins again with weights that have seen %d batches "
                "of it. Save at the ends of epochs: BackupAndRestore(..., save_freq='epoch').",
                epoch,
                seen,
            )

    def _warn_of_early_stops(self, ramp_end: int) -> None:
        for other in self._others:
            early = isinstance(other, keras.callbacks.EarlyStopping) and other.start_from_epoch < ramp_end
            if early and not self.model.frozen:
                logging.warning(
                    "EarlyStopping may stop in the ramp, or bring back weights from before the level is met. "
                    "Pass EarlyStopping(..., start_from_epoch=%d).",
                    ramp_end,
                )

    def on_train_end(self, logs=None):
        if self.model.frozen:
            self.model.check_weights()
            self.model.hold()
        if self.model.frozen or not self._begun:
            return
        self.model.freeze()
        if not self.model.at_level_before_freeze:
            logging.warning(
                "The level was reached by a cut at the very end (one epoch, an early stop, or restored "
                "weights), with no training after it. Train for more epochs: fit goes on from here."
            )
