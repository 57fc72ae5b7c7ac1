"""How a ``ProximalModel`` is saved with its schedule, and made again."""

import keras

from tf_wgsef.errors import InputError
from tf_wgsef.graph import check_keras_model
from tf_wgsef.groups import GroupSet
from tf_wgsef.training._level import Level


class Saving:
    """What Keras asks a ``ProximalModel`` for when it is saved and loaded."""

    def save_own_variables(self, store):
        """Saves where the schedule stands, and the random state of dropout, which Keras leaves out."""
        super().save_own_variables(store)
        for number, seed in enumerate(self._seeds):
            store[f"seed{number}"] = seed

    def load_own_variables(self, store):
        """Loads what ``save_own_variables`` saved."""
        keys = [key for key in store.keys() if not key.startswith("seed")]  # noqa: SIM118 (no iterator)
        super().load_own_variables({key: store[key] for key in keys})
        for number, seed in enumerate(self._seeds):
            if f"seed{number}" in store:
                seed.assign(store[f"seed{number}"])

    def get_config(self):
        """Returns the configuration, with the wrapped model's inside."""
        return {
            "name": self.name,
            "model": keras.saving.serialize_keras_object(self.model),
            "groups": self.groups.to_json(),
            "level": self.level.get_config(),
            "penalty": keras.saving.serialize_keras_object(self.penalty),
            "ramp": self.ramp,
            "update": keras.saving.serialize_keras_object(self.update),
            "metric": self.metric,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Makes the model again from ``get_config()``.

        Raises:
            InputError: if ``config`` is no such configuration.
        """
        missing = [
            name for name in ("model", "groups", "level", "penalty", "ramp", "name") if name not in config
        ]
        if missing:
            raise InputError(
                f"Expected a configuration made by ProximalModel.get_config. Received: one without "
                f"{missing[0]!r}. Load a file that was not changed by hand."
            )
        model = check_keras_model(keras.saving.deserialize_keras_object(config["model"], custom_objects))
        groups = GroupSet.from_json(config["groups"], most=model.count_params())
        return cls(
            model,
            groups,
            Level.from_config(config["level"], most=groups.num_groups),
            penalty=keras.saving.deserialize_keras_object(config["penalty"], custom_objects),
            ramp=config["ramp"],
            update=keras.saving.deserialize_keras_object(config.get("update", "prox"), custom_objects),
            metric=config.get("metric", "euclidean"),
            name=config["name"],
        )

    @property
    def _seeds(self) -> list:
        weights = set(map(id, self.weights))
        return [variable for variable in self.variables if id(variable) not in weights]
