"""Train to a preset level: the optimizer's step, then the prox; schedule, final choice, callbacks."""

from ._adahspg import AdaHSPGPlus as AdaHSPGPlus
from ._conv_muon import ConvMuon as ConvMuon
from ._gradual_removal import GradualRemoval as GradualRemoval
from ._hspg import HSPG as HSPG
from ._level import Level as Level
from ._level import Pool as Pool
from ._level import preset_level as preset_level
from ._level_callback import LevelCallback as LevelCallback
from ._mixed_prox import MixedProx as MixedProx
from ._prox_sgd import PowerDecay as PowerDecay
from ._prox_sgd import ProxSGD as ProxSGD
from ._proximal_model import ProximalModel as ProximalModel
from ._proximal_step import ProximalState as ProximalState
from ._proximal_step import ProximalStep as ProximalStep
from ._regularizer import WGSEFRegularizer as WGSEFRegularizer
from ._schedules import GradualBudget as GradualBudget
from ._schedules import LearningRateStep as LearningRateStep
from ._sparse_prox import SparseProx as SparseProx
from ._sparsify import sparsify as sparsify
from ._tensorboard import GroupTensorBoard as GroupTensorBoard
from ._update_rules import Prox as Prox
from ._update_rules import UpdateRule as UpdateRule
