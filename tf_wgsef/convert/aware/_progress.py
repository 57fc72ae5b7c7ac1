"""How far the work in the other process has come."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class AwareProgress:
    """What ``progress=`` is called with, a few times a second at most.

    Attributes:
        stage: what is being done, such as ``"train"``.
        epoch: the running epoch, from 1; 0 outside training.
        epochs: number of epochs.
        batch: batches done in this epoch.
        batches: batches of an epoch; None where that is not known yet.
        loss: mean loss of this epoch so far; None outside training.
        accuracy: mean accuracy of this epoch so far; None in regression.
    """

    stage: str
    epoch: int = 0
    epochs: int = 0
    batch: int = 0
    batches: int | None = None
    loss: float | None = None
    accuracy: float | None = None

    @property
    def share(self) -> float:
        """The share of the training that is done, in [0, 1]; whole epochs where their length is unknown."""
        if not self.epochs or not self.epoch:
            return 1.0 if self.stage == "convert" else 0.0
        within = min(self.batch / self.batches, 1.0) if self.batches else 0.0
        return (self.epoch - 1 + within) / self.epochs
