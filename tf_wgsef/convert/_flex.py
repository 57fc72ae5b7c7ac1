"""TensorFlow's own operators in a file (Flex): no runtime that is installed with this package has them."""

import re

from tf_wgsef.errors import ConversionError, InputError

from ._parity import Proof


def check_flex(allow_flex: bool, calibrated: bool, quantization) -> None:
    """Raises if such operators are asked for where the calibrator would have to run them.

    Args:
        allow_flex: whether they are asked for.
        calibrated: whether the file is calibrated.
        quantization: what was asked for.

    Raises:
        InputError: if both are.
    """
    if allow_flex and calibrated:
        raise InputError(
            f"Expected quantization 'none', 'float16' or 'dynamic' with allow_flex=True: no calibrator "
            f"runs Flex operators. Received: quantization={quantization!r}."
        )


def flex_refused(name: str, message: str) -> ConversionError | None:
    """Returns the error for a model that needs such operators; None if that is not what is wrong.

    Args:
        name: the model's name.
        message: what TensorFlow's converter says.
    """
    found = re.search(r"TF Select ops: ([^\n]*)", message)
    if not found:
        return None
    return ConversionError(
        f"Expected a model of operators that LiteRT has. Received: model={name!r}, which needs "
        f"TensorFlow's own: {found.group(1).strip()[:200]}. Replace that operation, or pass allow_flex=True "
        f"(--allow-flex) for a runtime that has the Flex delegate."
    )


def unproven(operators: tuple[str, ...]) -> Proof:
    """Returns the proof of a file that cannot be run here.

    Args:
        operators: its Flex operators.
    """
    return Proof(
        parity=None,
        keras_accuracy=None,
        accuracy=None,
        problem=(
            f"Expected a file that can be run here, to compare it with the Keras model. Received: one with "
            f"{', '.join(operators)}, which LiteRT lacks. Nothing is proven of it: compare its outputs "
            f"where it is to run."
        ),
    )
