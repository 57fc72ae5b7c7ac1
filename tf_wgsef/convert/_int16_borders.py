"""Where the integers of an int16x8 file meet floats: QUANTIZE and DEQUANTIZE, where first needed."""

from collections.abc import Sequence

from ._edit import copy_tensor, make_operation


def set_borders(model, types: Sequence[str], end: str) -> dict[int, int]:
    """Hands each operation its activations in the type that it computes in.

    Args:
        model: a float file, a ``ModelT`` of the generated schema. It is changed: operations are added, and
            tensors, which are of float32 as their originals still.
        types: of what comes out of each operation: "int16", "int8" or "float32". It takes int16 for int16,
            and else floats.
        end: type of the file's inputs and outputs: "int16" or "float32".

    Returns:
        the number of each tensor that is to be int16 and no operation of int16 gives: that of its original.
    """
    graph = model.subgraphs[0]
    steps = list(zip(graph.operators, types, strict=True))
    _separate_constant_outputs(model)
    made = dict.fromkeys(graph.inputs, end)
    for operation, dtype in steps:
        made |= dict.fromkeys(map(int, operation.outputs), dtype)
    forms = _Forms(model, made)
    taken = {int(number) for operation, dtype in steps if dtype == "int16" for number in operation.inputs}
    for number in reversed(graph.inputs):  # as TensorFlow orders them
        if number in taken:
            forms.of(number, "int16")
    for operation, dtype in steps:
        wanted = "int16" if dtype == "int16" else "float32"
        operation.inputs = [forms.of(int(number), wanted) for number in operation.inputs]
        forms.operations.append(operation)
    for number in dict.fromkeys(graph.outputs):
        forms.name_end(number, forms.of(number, end))
        _replace_output(model, number, forms.of(number, end))
    graph.operators = forms.operations
    return forms.sources | {number: number for number in graph.inputs if forms.made.get(number) == "int16"}


class _Forms:
    """The types that each activation is had in.

    Attributes:
        made: the type that each float activation is made in, by its number.
        operations: those of the file so far, in order.
        sources: the number of each tensor that QUANTIZE gives: that of its original.
    """

    def __init__(self, model, made: dict[int, str]):
        from ai_edge_litert import schema_py_generated as schema

        self._model, self._tensors = model, model.subgraphs[0].tensors
        floats = schema.TensorType.FLOAT32
        self.made = {n: dtype for n, dtype in made.items() if self._tensors[n].type == floats}
        self._copies = {}
        self.operations, self.sources = [], {}

    def of(self, number: int, dtype: str) -> int:
        """Returns the number of a tensor in a type; an operation is added that gives it, once."""
        if self.made.get(number, dtype) == dtype:
            return number
        if (number, dtype) not in self._copies:
            other = self._copies[number, dtype] = copy_tensor(self._model.subgraphs[0], number)
            self._tensors[other].name += f"_{dtype}".encode()
            kind = "QUANTIZE" if dtype == "int16" else "DEQUANTIZE"
            self.operations.append(make_operation(self._model, kind, number, other))
            if dtype == "int16":
                self.sources[other] = number
        return self._copies[number, dtype]

    def name_end(self, inner: int, outer: int) -> None:
        """Lets an output have the plain name, if it is a copy."""
        if outer != inner:
            plain = self._tensors[inner].name
            self._tensors[inner].name = plain + f"_{self.made[inner]}".encode()
            self._tensors[outer].name = plain


def _separate_constant_outputs(model):
    """Gives each output that is a constant a tensor of its own."""
    graph = model.subgraphs[0]
    made = {int(number) for operation in graph.operators for number in operation.outputs} | {*graph.inputs}
    for number in dict.fromkeys(graph.outputs):
        if number not in made:
            _replace_output(model, number, copy_tensor(graph, number))


def _replace_output(model, old, new):
    (signature,) = model.signatureDefs
    graph = model.subgraphs[0]
    graph.outputs = [new if number == old else number for number in graph.outputs]
    for one in signature.outputs:
        one.tensorIndex = new if one.tensorIndex == old else one.tensorIndex
