"""One run of a comparison."""

import dataclasses

from tf_wgsef.workflows.compare._kinds import kinds_of
from tf_wgsef.workflows.compare._shapes import shape_counts


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run depends on; the same run is not made twice.

    Attributes:
        recipe: a name in ``RECIPES``, or that of the user's model.
        method: a name in ``METHODS``.
        level: share to remove, in ``unit``; 0 for ``dense``; with a shape what it removes of the layers it
            names.
        unit: ``"groups"`` (of every layer), or of the cost: ``"macs"``, ``"params"``, ``"bytes"``.
        groups: kind of the groups, or ``"stage1*=depth,*=filter"``, one for each pattern of layer names.
        seed: of the weights, of the order of the data and of what is drawn besides.
        epochs: in all.
        ramp: share of the epochs before the cut.
        samples: the first so many training images; None for all.
        validation: 0 to measure on the test images; else on so many training images behind ``samples``.
        batch: batch size.
        learning_rate: at the start of each cosine; see ``restart``.
        weight_decay: decoupled.
        augment: whether images are shifted and mirrored.
        clip: largest norm of the whole gradient; None for no clipping.
        strength: λ of a method that has one; None for the others.
        shape: how many groups stay of each layer, ``"conv1=3,conv2=12"``; None where ``level`` says it.
        precision: Keras's dtype policy while training, ``"mixed_bfloat16"`` or ``"mixed_float16"``; None for
            float32. Figures are those of the network in float32.
        restart: whether the learning rate begins anew after the cut, two cosines in all (learning rate
            rewinding, Renda et al. 2020, arXiv:2003.02389); else one cosine over all epochs.
        optimizer: ``"sgd"`` with Nesterov momentum, or ``"conv_muon"``, whose convolution kernels turn by
            orthogonalised momentum (``ConvMuon``): for every method that does not bring its own.
        shift: images are shifted by up to so many pixels, if ``augment``.
        border: what is behind them, a name in ``BORDERS``; zeros where nothing is shifted.
    """

    recipe: str
    method: str
    level: float
    unit: str
    groups: str
    seed: int
    epochs: int
    ramp: float
    samples: int | None
    validation: int
    batch: int
    learning_rate: float
    weight_decay: float
    augment: bool
    clip: float | None
    strength: float | None
    shape: str | None = None
    precision: str | None = None
    restart: bool = True
    optimizer: str = "sgd"
    shift: int = 4
    border: str = "zeros"

    @property
    def first(self) -> int:
        """Epochs before the cut: at least one, and one less than all."""
        return min(max(round(self.ramp * self.epochs), 1), max(self.epochs - 1, 1))

    @property
    def kinds(self) -> str | dict[str, str]:
        """The kinds of the groups as ``build_groups`` takes them."""
        return kinds_of(self.groups)

    @property
    def sparsify_level(self) -> dict:
        """The level as ``sparsify`` takes it."""
        if self.shape is not None:
            return {"k": shape_counts(self.shape)}
        if self.unit == "groups":
            return {"sparsity": self.level}
        return {"budget": {self.unit: 1.0 - self.level}}
