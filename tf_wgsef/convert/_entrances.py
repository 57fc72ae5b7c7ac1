"""The two public entrances to TensorFlow's converter, from a SavedModel.

``tf.compat.v1.lite.toco_convert`` hands the SavedModel over and returns what comes out.
``tf.lite.TFLiteConverter`` loads all variables before, and afterwards looks for doubled constants, in Python:
twice the time for the same file, and 1.3 to 1.7 times the model's size more memory. It alone calibrates; and
the other one is marked deprecated, so it stands in for a TensorFlow without that.

``from_concrete_functions`` on a Keras 3 model leaves the variables out of the file, which then answers NaN
without any error; ``TFLiteConverter.from_keras_model`` is right, but neither fixes the batch nor lets us name
outputs.
"""

from ._saved_model import SIGNATURE


def convert_directly(folder, quantization, allow_flex=False) -> bytes | None:
    """Returns the file as the converter makes it; None if that takes a ``TFLiteConverter``.

    Constants that are equal may be in it several times, see ``share_constants``.

    Args:
        folder: the SavedModel's.
        quantization: a ``Quantization``.
        allow_flex: whether the file may hold TensorFlow's own operators.
    """
    import tensorflow as tf

    enter = getattr(tf.compat.v1.lite, "toco_convert", None)
    if enter is None or quantization.calibrated:
        return None
    # The flags that a TFLiteConverter of the same settings gives.
    return enter(
        tf.compat.v1.GraphDef(),
        input_tensors=[],
        output_tensors=[],
        saved_model_dir=folder,
        saved_model_version=1,
        saved_model_tags=[tf.saved_model.SERVING],
        saved_model_exported_names=[SIGNATURE],
        target_ops=_operators(allow_flex),
        post_training_quantize=quantization.mode != "none",
        quantize_to_float16=quantization.mode == "float16",
        enable_mlir_dynamic_range_quantizer=quantization.mode != "none",
        enable_composite_direct_lowering=True,
    )


def make_converter(folder, quantization, samples, batch_size, allow_flex=False):
    """Returns a ``TFLiteConverter``, set up.

    Args:
        folder: the SavedModel's.
        quantization: a ``Quantization``.
        samples: a ``SampleStream`` to calibrate with, where the mode needs it.
        batch_size: of the SavedModel.
        allow_flex: whether the file may hold TensorFlow's own operators.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    # The metadata tells of the machine that converted; the same model shall give the same file.
    converter.exclude_conversion_metadata = True
    mode, operators = quantization.mode, tf.lite.OpsSet
    converter.optimizations = [] if mode == "none" else [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = _operators(allow_flex)
    if mode == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantization.calibrated:
        converter.representative_dataset = lambda: samples.batches(batch_size)
        # Integer kernels only. What has none is an error, but for NEG, which stays in float: see the record.
        converter.target_spec.supported_ops = [operators.TFLITE_BUILTINS_INT8]
        if quantization.io != "float32":
            converter.inference_input_type = tf.dtypes.as_dtype(quantization.io)
            converter.inference_output_type = tf.dtypes.as_dtype(quantization.io)
    return converter


def _operators(allow_flex):
    import tensorflow as tf

    known = tf.lite.OpsSet
    return [known.TFLITE_BUILTINS, known.SELECT_TF_OPS] if allow_flex else [known.TFLITE_BUILTINS]
