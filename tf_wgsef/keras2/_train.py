"""Training on batches that arrive through a pipe."""

import math
import time

from tf_wgsef.keras2._batches import read_batch

# Seconds between two reports: they are also the sign of life.
_REPORT_EVERY = 0.5


def compile_model(model, job: dict) -> None:
    """Prepares ``model`` for training as the job says.

    Args:
        model: a ``tf_keras.Model``.
        job: "learning_rate", and "losses": one per output, with "kind" and "from_logits".
    """
    import tf_keras

    losses = [_loss(tf_keras, entry) for entry in job["losses"]]
    metrics = [_metrics(entry) for entry in job["losses"]]
    optimizer = tf_keras.optimizers.Adam(job["learning_rate"])
    single = len(losses) == 1
    model.compile(optimizer, losses[0] if single else losses, metrics=metrics[0] if single else metrics)


def train(model, job: dict, stream, report, *, first=(), on_epoch_end=None) -> None:
    """Trains for the job's epochs.

    The learning rate falls from epoch to epoch along half a cosine: what is quantized ends where it stands
    still.

    Args:
        model: a compiled ``tf_keras.Model``.
        job: "epochs" and "learning_rate".
        stream: the batches of one epoch after another.
        report: called with the fields of an event.
        first: batches that were read from the stream already.
        on_epoch_end: called with the number of the epoch.
    """
    waiting, said = list(first), time.monotonic()
    for epoch in range(job["epochs"]):
        falling = 0.5 * (1 + math.cos(math.pi * epoch / job["epochs"]))
        model.optimizer.learning_rate.assign(job["learning_rate"] * falling)
        model.reset_metrics()
        batch_number, logs = 0, {}
        while (batch := waiting.pop(0) if waiting else read_batch(stream)) is not None:
            logs = train_batch(model, batch)
            batch_number += 1
            if time.monotonic() - said > _REPORT_EVERY:
                said = time.monotonic()
                report(event="step", epoch=epoch, batch=batch_number, **_figures(logs))
        if on_epoch_end:
            on_epoch_end(epoch)
        if not math.isfinite(logs.get("loss", 0.0)):
            raise ArithmeticError("the loss is NaN or infinite: pass a lower learning_rate")
        report(event="epoch", epoch=epoch, batch=batch_number, **_figures(logs))


def train_batch(model, batch) -> dict:
    """Makes one step, and returns the running figures of the epoch."""
    x, y, weights = batch
    single = len(y) == 1
    return model.train_on_batch(
        x if len(x) > 1 else x[0],
        y[0] if single else y,
        sample_weight=(weights[0] if single else weights) if weights else None,
        reset_metrics=False,
        return_dict=True,
    )


def _loss(tf_keras, entry):
    losses, from_logits = tf_keras.losses, entry["from_logits"]
    if entry["kind"] == "sparse_crossentropy":
        return losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    if entry["kind"] == "crossentropy":
        return losses.CategoricalCrossentropy(from_logits=from_logits)
    if entry["kind"] == "binary_crossentropy":
        return losses.BinaryCrossentropy(from_logits=from_logits)
    return losses.MeanAbsoluteError() if entry["kind"] == "absolute_error" else losses.MeanSquaredError()


def _metrics(entry):
    import tf_keras

    if entry["kind"] == "binary_crossentropy":
        threshold = 0.0 if entry["from_logits"] else 0.5
        return [tf_keras.metrics.BinaryAccuracy(name="accuracy", threshold=threshold)]
    if entry["kind"] == "sparse_crossentropy":
        return [tf_keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
    if entry["kind"] == "crossentropy":
        return [tf_keras.metrics.CategoricalAccuracy(name="accuracy")]
    return []


def _figures(logs: dict) -> dict:
    """The loss, and the accuracy (the mean over the outputs that have one)."""
    accuracies = [float(value) for name, value in logs.items() if name.endswith("accuracy")]
    figures = {"loss": float(logs["loss"])} if "loss" in logs else {}
    return {**figures, "accuracy": sum(accuracies) / len(accuracies)} if accuracies else figures
