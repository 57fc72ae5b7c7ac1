"""A model with fake quantization -> an int8 ``.tflite`` file."""


def export(model, job: dict, folder) -> bytes:
    """Returns the file.

    Args:
        model: the trained model with fake quantization.
        job: "inputs" and "output_names" of the file's signature, "io" ("int8" or "float32").
        folder: where to save it on the way.
    """
    import tensorflow as tf

    names = job["output_names"]

    def serve(*inputs):
        outputs = model(inputs[0] if len(inputs) == 1 else list(inputs), training=False)
        outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
        return {name: tf.identity(output) for name, output in zip(names, outputs, strict=True)}

    signature = [tf.TensorSpec((1, *e["shape"]), e["dtype"], name=e["name"]) for e in job["inputs"]]
    module = tf.Module()
    module.held = model.variables
    saved = str(folder / "saved_model")
    served = tf.function(serve, input_signature=signature, autograph=False)
    tf.saved_model.save(module, saved, signatures={"serving_default": served})
    converter = tf.lite.TFLiteConverter.from_saved_model(saved)
    converter.exclude_conversion_metadata = True
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if job["io"] == "int8":
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    return converter.convert()
