"""GroupSet: which slices of which variables form one group, as plain data."""

import dataclasses
import json

import keras
import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.graph import check_keras_model
from tf_wgsef.groups._arithmetic import group_norms, scale_groups
from tf_wgsef.groups._keys import variables_by_key
from tf_wgsef.groups._member import Member
from tf_wgsef.groups._runs import from_runs, to_runs

_SCHEMA = "tf_wgsef.GroupSet/2"


@dataclasses.dataclass(frozen=True, repr=False)
class GroupSet:
    """Disjoint groups of parameters, numbered 0 … num_groups − 1.

    Zeroing a group silences its channels exactly: it holds every parameter that makes them (kernel
    column, bias, batch norm's gamma and beta, and those of every layer tied to it).

    Attributes:
        kind: what a group is, such as ``"filter"``.
        layers: names of the layers whose channels are grouped; tied ones are joined with ``+``.
        layer_of: index into ``layers`` of each group, shape (num_groups,).
        weights: cost d_g of each group, shape (num_groups,).
        members: the slices of variables.
        shifts: moving means that are no weights, but would make a silent channel a constant: batch norm's,
            where it has no gamma. They count in no norm, and become zero with their group.

    Example:
        >>> import keras, tf_wgsef
        >>> model = keras.Sequential(
        ...     [keras.Input((4,)), keras.layers.Dense(3, name="hidden"), keras.layers.Dense(2)])
        >>> groups = tf_wgsef.build_groups(model)
        >>> groups.layers, groups.num_groups
        (('hidden',), 3)
    """

    kind: str
    layers: tuple[str, ...]
    layer_of: np.ndarray
    weights: np.ndarray
    members: tuple[Member, ...]
    shifts: tuple[Member, ...] = ()

    def __repr__(self):
        layers = ", ".join(f"{name} {size}" for name, size in zip(self.layers, self.sizes, strict=True))
        return f"GroupSet({self.num_groups} groups of kind {self.kind or None}: {layers or 'none'})"

    @property
    def num_groups(self) -> int:
        """Number of groups."""
        return len(self.layer_of)

    @property
    def sizes(self) -> np.ndarray:
        """Number of groups of each layer, shape (len(layers),)."""
        return np.bincount(self.layer_of, minlength=len(self.layers))

    def variables(self, model) -> list:
        """Returns the variable of each member, found by name in ``model``.

        Raises:
            InputError: if ``model`` lacks one, or one has another shape.
        """
        return self._find(model, self.members)

    def all_variables(self, model) -> list:
        """Returns the variables of the members and those of the shifts."""
        return [*self.variables(model), *self._find(model, self.shifts)]

    def _find(self, model, members) -> list:
        model = check_keras_model(model)
        found = variables_by_key(model, [member.variable for member in members])
        for member, variable in zip(members, found, strict=True):
            shape = tuple(variable.shape)
            if len(shape) != member.rank or member.ids.shape != tuple(shape[a] for a in member.axes):
                raise InputError(
                    f"Expected {member.variable!r} with sizes {member.ids.shape} along axes "
                    f"{member.axes}. Received: shape {shape}. Build the groups from this model."
                )
        return found

    def norms(self, model):
        """Euclidean norm of each group, tensor of shape (num_groups,); no gradient flows through it."""
        values = [keras.ops.stop_gradient(variable) for variable in self.variables(model)]
        return group_norms(self.members, values, self.num_groups)

    def scale(self, model, factors) -> None:
        """Multiplies each group of ``model`` by its factor, in place; a factor of 0 silences it.

        Args:
            model: the model that the groups were built from, or one with the same layers.
            factors: shape (num_groups,).

        Raises:
            InputError: if ``factors`` has another shape.
        """
        if tuple(np.shape(factors)) != (self.num_groups,):
            raise InputError(
                f"Expected one factor per group, shape ({self.num_groups},). "
                f"Received: shape {tuple(np.shape(factors))}."
            )
        variables = self.variables(model)
        try:
            with np.errstate(over="ignore"):
                factors = np.asarray(keras.ops.convert_to_numpy(factors)).astype("float32")
        except (TypeError, ValueError) as error:
            raise InputError(f"Expected numbers as factors. Received: {error}.") from error
        if not np.isfinite(factors).all():
            raise InputError("Expected finite factors. Received: NaN or infinity among them.")
        self._multiply(self.members, variables, factors)
        self._multiply(self.shifts, self._find(model, self.shifts), (factors != 0).astype("float32"))

    @staticmethod
    def _multiply(members, variables, factors) -> None:
        values = scale_groups(members, [variable.value for variable in variables], factors)
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    def to_json(self) -> str:
        """Returns the groups as a JSON text that ``from_json`` reads back."""

        def rows(members):
            return [
                {"variable": m.variable, "axes": m.axes, "ids": to_runs(m.ids), "rank": m.rank}
                for m in members
            ]

        return json.dumps(
            {
                "schema": _SCHEMA,
                "kind": self.kind,
                "layers": self.layers,
                "layer_of": to_runs(self.layer_of),
                "weights": to_runs(self.weights),
                "members": rows(self.members),
                "shifts": rows(self.shifts),
            }
        )

    @classmethod
    def from_json(cls, text: str, *, most: int | None = None) -> "GroupSet":
        """Reads what ``to_json`` wrote.

        Args:
            text: of ``to_json``.
            most: how many weights the model has, if that is known: a text that asks for longer arrays, which
                a few letters can, is refused before any is made.

        Raises:
            InputError: if ``text`` is no JSON of groups.
        """
        try:
            data = json.loads(text)
            if data["schema"] != _SCHEMA:
                raise ValueError(f"schema {data['schema']!r}")
            members, shifts = (
                tuple(
                    Member(
                        m["variable"], tuple(m["axes"]), from_runs(m["ids"], np.int64, most=most), m["rank"]
                    )
                    for m in rows
                )
                for rows in (data["members"], data.get("shifts", []))
            )
            groups = cls(
                kind=data["kind"],
                layers=tuple(data["layers"]),
                layer_of=from_runs(data["layer_of"], np.int64, most=most),
                weights=from_runs(data["weights"], np.float64, most=most),
                members=members,
                shifts=shifts,
            )
            groups._check_names()
            groups._check_sizes()
            return groups
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError, MemoryError) as error:
            raise InputError(
                f"Expected a JSON text written by GroupSet.to_json ({_SCHEMA}). Received: {error}."
            ) from error

    def _check_names(self) -> None:
        """Raises ValueError if a name is none, or two are equal that must not be."""
        variables = [member.variable for member in (*self.members, *self.shifts)]
        if not all(isinstance(name, str) for name in (self.kind, *self.layers, *variables)):
            raise ValueError("a name that is no text")
        for names in (self.layers, variables):
            if len(set(names)) != len(names):
                raise ValueError(f"a name twice among {', '.join(names)}")

    def _check_sizes(self) -> None:
        """Raises ValueError if a number points at no group, layer or axis, or a layer or group is empty."""
        if self.layer_of.ndim != 1 or self.weights.shape != self.layer_of.shape:
            raise ValueError("as many weights as groups are needed")
        if self.layer_of.size and not 0 <= self.layer_of.min() <= self.layer_of.max() < len(self.layers):
            raise ValueError("layer_of points at no layer")
        if (self.sizes == 0).any():
            raise ValueError("a layer without groups")
        if (self.weights < 0).any() or (self.weights > np.finfo(np.float32).max).any():
            raise ValueError("weights below 0 or beyond float32")
        for member in (*self.members, *self.shifts):
            if member.ids.size and not -1 <= member.ids.min() <= member.ids.max() < self.num_groups:
                raise ValueError(f"{member.variable!r} points at no group")
            if member.ids.ndim != len(member.axes) or any(
                axis not in range(start, member.rank)
                for start, axis in zip((0, *(a + 1 for a in member.axes)), member.axes, strict=False)
            ):
                raise ValueError(f"{member.variable!r} has no such axes")
        holds = np.zeros(self.num_groups + 1, bool)  # the last entry takes the -1 of entries in no group
        for member in self.members:
            holds[member.ids.reshape(-1)] = True
        if not holds[:-1].all():
            raise ValueError(f"no weight in group {np.flatnonzero(~holds[:-1])[0]}")
