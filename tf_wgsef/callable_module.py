"""Let a stage's folder be called by its own name: ``tf_wgsef.strip`` is the package and the function.

``strip``, ``convert`` and ``measure`` name both a folder (a stage of the pipeline) and the one function
that a user calls. Python binds the folder to that name on its first import, whoever imports it, so the
module itself is made callable (its class may be replaced, see "Customizing module attribute access" in
the Python reference).
"""

import inspect
import sys
import types


class _CallableModule(types.ModuleType):
    """A module that passes a call on to the function of its own name."""

    def __call__(self, *args, **kwargs):
        return self._function(*args, **kwargs)

    @property
    def __wrapped__(self):
        """The function, where ``inspect.signature`` and ``help`` look for it."""
        return self._function

    @property
    def _function(self):
        name = self.__name__.rpartition(".")[2]
        return self.__dict__[name]


def make_callable(module_name: str) -> None:
    """Makes calls of the module ``module_name`` calls of its function of the same last name.

    Args:
        module_name: `__name__` of the module.

    Example:
        ``make_callable(__name__)`` at the end of ``tf_wgsef/strip/__init__.py``.
    """
    module = sys.modules[module_name]
    module.__class__ = _CallableModule
    function = module.__wrapped__
    # What help() shows first is how to call it.
    signature = f"{function.__name__}{inspect.signature(function)}"
    module.__doc__ = f"{signature}\n\n{inspect.getdoc(function)}\n\n{module.__doc__}"
