"""Build the smaller model: the same graph without the calls that disappear, nested models included."""

import random

import keras

from tf_wgsef.errors import StripError
from tf_wgsef.graph import compile_like
from tf_wgsef.rules import Call, TensorKey
from tf_wgsef.strip._blueprint import Blueprint
from tf_wgsef.strip._spatial_crop import pre_layers
from tf_wgsef.terminal_text import first_line


def rebuild(blueprint: Blueprint):
    """Returns a new model without what the plan removes; the old one stays as it is.

    Args:
        blueprint: what each layer becomes.

    Raises:
        StripError: if a layer cannot be made again from its configuration.
    """
    model = blueprint.graph.model
    state = random.getstate()  # initializers and dropout without a seed draw one from Python's generator
    try:
        rebuilder = _Rebuilder(blueprint)
        new = rebuilder.model(model)
        rebuilder.fill(model, new)
        return new
    except StripError:
        raise
    except Exception as error:  # backends raise errors of classes of their own
        raise StripError(
            f"Expected a model that keras.models.clone_model can make again with fewer channels. Received: "
            f"model={model.name!r}, for which it says: {first_line(error)}"
        ) from error
    finally:
        random.setstate(state)


class _Rebuilder:
    """Makes models again, the nested ones first; each layer once, however often it is used."""

    def __init__(self, blueprint: Blueprint):
        self.blueprint, self.graph, self.plan = blueprint, blueprint.graph, blueprint.plan
        self._made: dict[int, object] = {}
        self._names = {call.layer.name for reading, _ in self.graph.scopes.values() for call in reading.calls}
        self._numbers = {call.outputs: number for number, call in enumerate(self.graph.calls)}

    def model(self, old):
        """The smaller version of ``old``, a model of the graph."""
        return self._sequential(old) if isinstance(old, keras.Sequential) else self._functional(old)

    def fill(self, old, new) -> None:
        """Gives ``new`` the weights and flags of ``old`` that stay, and its compilation."""
        new.trainable = old.trainable  # passed on to its layers by some backends, so theirs come after
        pairs = [(layer, self._made.get(id(layer), layer)) for layer in old.layers]
        remade = [(layer, made) for layer, made in pairs if made is not layer]
        for layer, made in remade:
            if id(layer) in self.graph.scopes:
                self.fill(layer, made)
        for layer, made in remade:
            if id(layer) not in self.graph.scopes:
                self.blueprint.set_weights(layer, made)
        if not new.compiled:
            compile_like(new, old, "The stripped model")

    def layer(self, old):
        """The smaller version of ``old``; ``old`` itself where it is part of no graph."""
        if id(old) not in self._made:
            nested = isinstance(old, keras.Model) and id(old) in self.graph.scopes
            self._made[id(old)] = self.model(old) if nested else self.blueprint.remake(old)
        return self._made[id(old)]

    def in_front(self, old) -> list:
        """New layers that crop or pad the input of a layer whose kernel has lost rows or columns."""
        crop = self.blueprint.crop(old)
        if crop is None:
            return []
        layers = pre_layers(crop, len(old.kernel_size), old.name)
        made = []
        for kind, config in layers:
            while config["name"] in self._names:
                config = {**config, "name": f"{config['name']}_"}
            self._names.add(config["name"])
            made.append(getattr(keras.layers, kind)(**config, dtype=old.dtype_policy))
        return made

    def disappears(self, call: Call, keys: dict[TensorKey, TensorKey]) -> bool:
        """Whether the call returns its only needed input, in every application of its model."""
        gone = all(self._number(call, one) in self.plan.bypassed for one in self._alive(call, keys))
        return gone and sum(self.needs(call, keys)) == 1

    def needs(self, call: Call, keys: dict[TensorKey, TensorKey]) -> tuple[bool, ...]:
        """Which inputs the call takes in any application; all, for models and compound layers."""
        numbers = [self._number(call, one) for one in self._alive(call, keys)]
        if None in numbers:
            return (True,) * len(call.inputs)
        return tuple(map(any, zip(*(self.plan.needs[number] for number in numbers), strict=True)))

    def lives(self, call: Call, keys: dict[TensorKey, TensorKey]) -> bool:
        """Whether what the call returns is needed in any application."""
        return any(self._is_needed(call, one) for one in self._applications(keys))

    def _alive(self, call: Call, keys) -> list[dict[TensorKey, TensorKey]]:
        """The applications in which it is needed; the first where it is in none."""
        return [one for one in self._applications(keys) if self._is_needed(call, one)] or [keys]

    def _applications(self, keys) -> list[dict[TensorKey, TensorKey]]:
        return next((some for some in self.graph.applications.values() if some[0] is keys), [keys])

    def _is_needed(self, call: Call, keys) -> bool:
        return any(keys[key] in self.plan.needed for key in call.outputs)

    def input_shape(self, key: TensorKey, shape) -> tuple:
        """The shape of a model's input, with the channels that stay."""
        kept = int(self.plan.keeps(self.graph.ids[key]).sum())
        return tuple(shape) if not shape or shape[-1] is None else (*shape[:-1], kept)

    def _number(self, call: Call, keys) -> int | None:
        """The call's number in the flat graph; None for a model or a compound layer, which is not in it."""
        number = self._numbers.get(tuple(keys[key] for key in call.outputs))
        found = number is not None and self.graph.calls[number].layer is call.layer
        return number if found else None

    def _sequential(self, old):
        reading, keys = self.graph.scopes[id(old)]
        source = old.inputs[0]
        shape = self.input_shape(keys[reading.inputs[0]], source.shape)
        layers, dtype = [keras.Input(batch_shape=shape, dtype=source.dtype, name=source.name)], source.dtype
        calls = [call for call in reading.calls if call.inputs]
        for call in calls:
            last = call is calls[-1]  # its name is the output's
            if self.disappears(call, keys) and dtype == call.layer.compute_dtype and not last:
                continue
            layers += [*self.in_front(call.layer), self.layer(call.layer)]
            dtype = call.layer.compute_dtype
        try:
            return type(old)(layers, name=old.name, trainable=old.trainable)
        except TypeError:  # a subclass with arguments of its own
            return keras.Sequential(layers, name=old.name, trainable=old.trainable)

    def _functional(self, old):
        reading, keys = self.graph.scopes[id(old)]
        tensors = _Tensors()
        sources = {
            layer.name: layer for layer in old.operations if isinstance(layer, keras.layers.InputLayer)
        }
        inputs = []
        for key, tensor in zip(reading.inputs, keras.tree.flatten(old.input), strict=True):
            shape = self.input_shape(keys[key], tensor.shape)
            optional = sources[key[0]].optional
            inputs.append(keras.Input(batch_shape=shape, dtype=tensor.dtype, name=key[0], optional=optional))
            tensors.note(key, inputs[-1])
        ends = reading.outputs if old is self.graph.model else ()
        run = _Run(self, reading.calls, keys, tensors, inputs[0], ends)
        plain = old.compiled and type(old).__module__.partition(".")[0] == "keras"
        return keras.models.clone_model(
            # Cloning would compile, and fail on functions of the caller's own.
            keras.Model(old.input, old.output, name=old.name) if plain else old,
            input_tensors=keras.tree.pack_sequence_as(old.input, inputs),
            clone_function=run.clone,
            call_function=run.call,
        )


class _Tensors:
    """Which keys the new model's tensors have; several, where calls have disappeared."""

    def __init__(self):
        self._keys: dict[int, set[TensorKey]] = {}
        self._alive = []  # ids are unique among living objects only

    def note(self, key: TensorKey, tensor) -> None:
        self._alive.append(tensor)
        self._keys.setdefault(id(tensor), set()).add(key)

    def is_called(self, tensor, key: TensorKey) -> bool:
        return key in self._keys.get(id(tensor), ())


class _Run:
    """One run of ``keras.models.clone_model`` through the graph of a functional model."""

    def __init__(self, rebuilder: _Rebuilder, calls, keys, tensors: _Tensors, source, ends):
        self.rebuilder, self.keys, self.tensors, self.source = rebuilder, keys, tensors, source
        self.ends = ends
        self.waiting: dict[int, list[Call]] = {}
        for call in calls:
            self.waiting.setdefault(id(call.layer), []).append(call)
        self.olds: dict[int, object] = {}

    def clone(self, old):
        """Keras asks for the new layer; one that is not called any more need not be made."""
        calls = self.waiting[id(old)]
        lives = any(self._lives(call) and not self.rebuilder.disappears(call, self.keys) for call in calls)
        new = self.rebuilder.layer(old) if lives else old
        self.olds[id(new)] = old
        return new

    def call(self, new, *args, **kwargs):
        """Keras has the new layer called: as before, on fewer inputs, or not at all."""
        old = self.olds[id(new)]
        call = self._find(old, _tensors_in((args, kwargs)))
        result = self._result(call, old, new, args, kwargs)
        flat = keras.tree.flatten(result)
        for key in call.outputs:
            self.tensors.note(key, flat[key[2]])
        return result

    def _result(self, call: Call, old, new, args, kwargs):
        if not self._lives(call):
            # Nobody looks at these; they stand where Keras expects tensors.
            count = 1 + max(key[2] for key in call.outputs)
            return [keras.layers.Identity()(self.source) for _ in range(count)]
        takes = self.rebuilder.needs(call, self.keys)
        if self.rebuilder.disappears(call, self.keys):
            return self._passed_on(call, old, _tensors_in((args, kwargs))[takes.index(True)])
        if "inputs" in kwargs:
            args = (kwargs.pop("inputs"), *args)
        if not all(takes):
            args = ([one for one, take in zip(args[0], takes, strict=True) if take], *args[1:])
        for layer in self.rebuilder.in_front(old) if isinstance(old, keras.Layer) else ():
            args = (layer(args[0]), *args[1:])
        return new(*args, **kwargs)

    def _passed_on(self, call: Call, old, tensor):
        """The only needed input, in the dtype that the call returned; by the same name at the end."""
        dtype = call.dtypes[0] or keras.backend.standardize_dtype(tensor.dtype)
        if keras.backend.standardize_dtype(tensor.dtype) != dtype:
            tensor = keras.ops.cast(tensor, dtype)
        if call.outputs[0] not in self.ends:
            return tensor
        # Losses and metrics know an output by the name of its layer.
        return keras.layers.Activation("linear", name=old.name, dtype=dtype)(tensor)

    def _lives(self, call: Call) -> bool:
        return self.rebuilder.lives(call, self.keys)

    def _find(self, old, tensors) -> Call:
        """The call of the layer that takes these tensors: of the old model, and not run yet."""
        waiting = self.waiting[id(old)]
        fits = [
            call
            for call in waiting
            if len(call.inputs) == len(tensors)
            and all(self.tensors.is_called(*pair) for pair in zip(tensors, call.inputs, strict=True))
        ]
        call = max(fits, key=self._lives)  # where two fit, the inputs are the same: the one that matters
        if len(waiting) > 1:
            waiting.remove(call)
        return call


def _tensors_in(arguments) -> list:
    return [one for one in keras.tree.flatten(arguments) if isinstance(one, keras.KerasTensor)]
