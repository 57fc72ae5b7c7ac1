"""What a comparison is asked to do: recipe, methods, levels, seeds."""

import dataclasses
import itertools
import numbers
from collections.abc import Mapping

from tf_wgsef.errors import InputError
from tf_wgsef.validation import (
    check_count,
    check_non_negative,
    check_positive_int,
    check_share,
    is_finite_number,
)
from tf_wgsef.workflows.compare._augment import BORDERS
from tf_wgsef.workflows.compare._kinds import kinds_of, read_kinds
from tf_wgsef.workflows.compare._methods import METHODS
from tf_wgsef.workflows.compare._own import own_name, own_recipe
from tf_wgsef.workflows.compare._recipes import RECIPES, Recipe
from tf_wgsef.workflows.compare._run import Run
from tf_wgsef.workflows.compare._shapes import read_shape, share_removed

_UNITS = ("groups", "macs", "params", "bytes")
_LEVELS = (0.5, 0.75, 0.9)
_PRECISIONS = ("mixed_bfloat16", "mixed_float16")
_OPTIMIZERS = ("sgd", "conv_muon")
_LARGEST_SHIFT = 256


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a comparison is asked to do; None takes the recipe's value.

    Attributes:
        recipe: a name in ``RECIPES``; with ``model``, set by itself.
        model: a ``.keras`` file of the user's own, a classifier; needs ``data``.
        data: an ``.npz`` file with x_train, y_train, x_test, y_test.
        pretrained: whether training starts from the weights of ``model``; else from new ones, per seed.
        methods: names in ``METHODS``.
        levels: shares to remove; a half, three quarters and nine tenths if there is no shape either.
        shapes: {pattern of layer names: number of groups that stay} or several, beside ``levels``; layers
            that no pattern fits stay whole.
        unit: of the levels; see ``Run``.
        groups: kind of the groups, or {pattern of layer names: kind}.
        seeds: each method is run with every one.
        epochs: in all, for every method, before and after the cut.
        ramp: share of the epochs before the cut.
        samples: the first so many training images; all if None.
        validation: see ``Run``.
        batch: batch size.
        learning_rate: see ``Run``.
        weight_decay: see ``Run``.
        augment: see ``Run``.
        clip: see ``Run``.
        strength: {method: λ or several, of which each is run}.
        precision: see ``Run``.
        restart: see ``Run``.
        optimizer: see ``Run``.
        shift: see ``Run``.
        border: see ``Run``.
        dense: whether the whole network is trained beside them, with every seed.
        latency: whether each file is measured on this machine.
        models: whether the network of each run that is made is saved, in the folder ``models``.
    """

    recipe: str = "lenet5-digits"
    model: str | None = None
    data: str | None = None
    pretrained: bool = False
    methods: tuple[str, ...] = ("wgsef", "magnitude", "narrow")
    levels: tuple[float, ...] | None = None
    shapes: tuple[str | Mapping[str, int], ...] = ()
    unit: str = "groups"
    groups: str | Mapping[str, str] = "filter"
    seeds: tuple[int, ...] = (0, 1, 2)
    epochs: int | None = None
    ramp: float = 0.5
    samples: int | None = None
    validation: int = 0
    batch: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    augment: bool | None = None
    clip: float | None = 1.0
    strength: Mapping[str, float | tuple[float, ...]] = dataclasses.field(default_factory=dict)
    precision: str | None = None
    restart: bool = True
    optimizer: str = "sgd"
    shift: int = 4
    border: str = "reflect"
    dense: bool = True
    latency: bool = True
    models: bool = False

    def __post_init__(self):
        for name in ("methods", "seeds"):
            object.__setattr__(self, name, _several(name, getattr(self, name)))
        shapes = self.shapes if isinstance(self.shapes, list | tuple) else (self.shapes,)
        object.__setattr__(self, "shapes", tuple(map(read_shape, shapes)))
        levels = (() if shapes else _LEVELS) if self.levels is None else self.levels
        none_asked = shapes and isinstance(levels, list | tuple) and not levels
        object.__setattr__(self, "levels", () if none_asked else _several("levels", levels))
        if (self.model is None) != (self.data is None):
            raise InputError(
                f"Expected `model` and `data` together. Received: model={self.model!r}, data={self.data!r}."
            )
        if self.model is None:
            _check_name("recipe", self.recipe, RECIPES)
        else:
            object.__setattr__(self, "recipe", own_name(self.model, self.data, pretrained=self.pretrained))
        _check_name("unit", self.unit, _UNITS)
        object.__setattr__(self, "groups", read_kinds(self.groups))
        _check_name("optimizer", self.optimizer, _OPTIMIZERS)
        _check_name("border", self.border, BORDERS)
        if self.precision is not None:
            _check_name("precision", self.precision, _PRECISIONS)
        if not isinstance(self.strength, Mapping):
            raise InputError(
                f"Expected `strength` to be {{method: λ}}. Received: strength={self.strength!r}."
            )
        for method in (*self.methods, *self.strength):
            _check_name("methods", method, METHODS)
        for method in self.methods if self.shapes else ():
            if METHODS[method].no_shape:
                raise InputError(
                    f"Expected methods that can leave a number per layer. Received: {method!r} with "
                    f"`shapes`: {METHODS[method].no_shape}. Leave it out, or compare it by `levels`."
                )
        self._check_numbers()
        self._check_strengths()
        if self.pretrained and self.model is None:
            raise InputError(
                f"Expected `pretrained` with a `model` of your own. Received: the recipe {self.recipe!r}, "
                f"which has new weights for each seed. Leave it out, or pass `model` and `data`."
            )

    def _check_numbers(self) -> None:
        """Checks them, and makes each a plain number of Python, as the file of the runs takes it."""
        plain: dict = {"levels": tuple(check_share("levels", level) for level in self.levels)}
        plain["seeds"] = tuple(_check_seed(seed) for seed in self.seeds)
        for name in ("epochs", "samples", "batch"):
            if getattr(self, name) is not None:
                plain[name] = check_positive_int(name, getattr(self, name))
        if plain.get("epochs", 1) >= 2**31:  # schedules count steps in 64 bits
            raise InputError(f"Expected `epochs` below 2^31. Received: epochs={self.epochs!r}.")
        for name in ("learning_rate", "clip"):
            plain[name] = _check_positive(name, getattr(self, name))
        plain["validation"] = check_count("validation", self.validation)
        plain["shift"] = check_count("shift", self.shift)
        if plain["shift"] > _LARGEST_SHIFT:
            raise InputError(
                f"Expected `shift` to be {_LARGEST_SHIFT} pixels or less. Received: shift={self.shift!r}."
            )
        plain["ramp"] = _check_positive("ramp", self.ramp)
        if plain["ramp"] is None or plain["ramp"] >= 1:
            raise InputError(
                f"Expected `ramp` in (0, 1), the share of the epochs before the cut. Received: "
                f"ramp={self.ramp!r}."
            )
        if self.weight_decay is not None:
            plain["weight_decay"] = check_non_negative("weight_decay", self.weight_decay)
        for name in ("augment", "pretrained", "dense", "latency", "restart", "models"):
            asked = getattr(self, name)
            if not (isinstance(asked, bool) or (asked is None and name == "augment")):
                raise InputError(f"Expected `{name}` to be true or false. Received: {name}={asked!r}.")
        for name, value in plain.items():
            object.__setattr__(self, name, value)

    def _check_strengths(self) -> None:
        strengths = {}
        for method, values in self.strength.items():
            if METHODS[method].strength is None:
                having = ", ".join(name for name, one in METHODS.items() if one.strength is not None)
                raise InputError(
                    f"Expected `strength` of methods that have one: {having}. Received: {method!r}, "
                    f"whose runs would all be the same."
                )
            several = [_check_positive("strength", one) for one in _several("strength", values)]
            if None in several:
                raise InputError(f"Expected `strength` to be a number above 0. Received: None of {method!r}.")
            strengths[method] = several if isinstance(values, list | tuple) else several[0]
        object.__setattr__(self, "strength", strengths)

    def recipe_itself(self) -> Recipe:
        """Returns the recipe that ``recipe`` names, or that of the user's files."""
        if self.model is None:
            return RECIPES[self.recipe]
        return own_recipe(self.model, self.data, pretrained=self.pretrained)

    def runs(self) -> list[Run]:
        """Returns every run, level by level, each level's methods next to each other."""
        same = "recipe unit groups ramp validation samples clip precision restart optimizer"
        common = {name: getattr(self, name) for name in same.split()}
        recipe = self.recipe_itself()
        for name in ("epochs", "batch", "learning_rate", "weight_decay", "augment"):
            asked = getattr(self, name)
            common[name] = getattr(recipe, name) if asked is None else asked
        if common["augment"]:
            common |= {"shift": self.shift, "border": self.border}
        found = []
        if self.dense or "dense" in self.methods:
            found = [
                Run(method="dense", level=0.0, seed=seed, strength=None, **common) for seed in self.seeds
            ]
        levels = [{"level": level} for level in self.levels]
        if self.shapes:
            network, kinds = recipe.build(), kinds_of(self.groups)
            shares = {shape: share_removed(shape, network, kinds) for shape in self.shapes}
            levels += [{"level": share, "shape": shape, "unit": "groups"} for shape, share in shares.items()]
        for level, seed, method in itertools.product(levels, self.seeds, self.methods):
            if method == "dense":
                continue
            given = self.strength.get(method, METHODS[method].strength)
            for strength in _several("strength", given):
                found.append(Run(**{**common, **level}, method=method, seed=seed, strength=strength))
        return list(dict.fromkeys(found))


def read_settings(data: Mapping) -> Settings:
    """Makes settings of a mapping, such as a configuration file's.

    Raises:
        InputError: for an unknown key, or a value that is not as expected.
    """
    known = [field.name for field in dataclasses.fields(Settings)]
    if not isinstance(data, Mapping):
        raise InputError(
            f"Expected settings as a mapping with keys of: {', '.join(known)}. Received: {data!r}."
        )
    for key in data:
        _check_name("settings", key, known)
    return Settings(**data)


def _several(name: str, values) -> tuple:
    values = tuple(values) if isinstance(values, list | tuple) else (values,)
    if not values:
        raise InputError(f"Expected at least one of `{name}`. Received: none.")
    return values


def _check_name(argument: str, name, known) -> None:
    if not isinstance(name, str) or name not in known:
        raise InputError(f"Expected `{argument}` to be of: {', '.join(known)}. Received: {name!r}.")


def _check_seed(seed) -> int:
    whole = isinstance(seed, numbers.Integral) and not isinstance(seed, bool)
    # Keras takes no larger one, and a million is added for the second part of training.
    if not whole or not 0 <= seed < 2**31:
        raise InputError(f"Expected `seeds` to be whole numbers from 0 to 2^31. Received: {seed!r}.")
    return int(seed)


def _check_positive(name: str, value) -> float | None:
    if value is None:
        return None
    if not is_finite_number(value) or value <= 0:
        raise InputError(f"Expected `{name}` to be a number above 0. Received: {name}={value!r}.")
    return float(value)
