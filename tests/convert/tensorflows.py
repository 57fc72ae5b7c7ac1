"""int16x8 files by TensorFlow's converter, as its documentation makes them: what ours are held against."""

import tempfile

import tensorflow as tf

from tf_wgsef.convert._flat import flat_model
from tf_wgsef.convert._saved_model import save_model
from tf_wgsef.convert._signature import input_specs


def int16_file(model, x, io="int16") -> bytes:
    """Returns TensorFlow's file of a model with one input, or with several of the same data."""
    specs = input_specs(model)
    with tempfile.TemporaryDirectory() as folder:
        save_model(flat_model(model), specs, folder, batch_size=1, loops=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.exclude_conversion_metadata = True
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ({spec.name: one[None] for spec in specs} for one in x)
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
        converter.inference_input_type = converter.inference_output_type = tf.dtypes.as_dtype(io)
        return converter.convert()
