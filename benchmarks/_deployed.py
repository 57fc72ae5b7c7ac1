"""One model of keras.applications: half of its groups gone, then its float and its int8 file on LiteRT."""

import gc
import time

import keras
import numpy as np
from _applications import constructors, half_zeroed, outputs

import tf_wgsef
from tf_wgsef.convert import predict

DIFFERENCE = 1e-4  # largest difference allowed between the float file and Keras, as a share of the range
CALIBRATION = 128
TEST = 256
# The larger a model, the later: what is stopped has most of them. By parameters, all classes included.
BY_SIZE = (
    "MobileNetV3Small",
    "MobileNetV2",
    "MobileNet",
    "EfficientNetB0",
    "MobileNetV3Large",
    "NASNetMobile",
    "EfficientNetV2B0",
    "EfficientNetV2B1",
    "EfficientNetB1",
    "EfficientNetB2",
    "DenseNet121",
    "EfficientNetV2B2",
    "EfficientNetB3",
    "DenseNet169",
    "EfficientNetV2B3",
    "EfficientNetB4",
    "DenseNet201",
    "EfficientNetV2S",
    "InceptionV3",
    "Xception",
    "ResNet50V2",
    "ResNet50",
    "ConvNeXtTiny",
    "EfficientNetB5",
    "VGG16",
    "VGG19",
    "EfficientNetB6",
    "ResNet101V2",
    "ResNet101",
    "ConvNeXtSmall",
    "EfficientNetV2M",
    "InceptionResNetV2",
    "ResNet152V2",
    "ResNet152",
    "EfficientNetB7",
    "NASNetLarge",
    "ConvNeXtBase",
    "EfficientNetV2L",
    "ConvNeXtLarge",
    "ConvNeXtXLarge",
)


def by_size() -> list[str]:
    """All models, the smallest first; those that are not known, last."""
    rank = {name: place for place, name in enumerate(BY_SIZE)}
    return sorted(constructors(), key=lambda name: rank.get(name, len(rank)))


def images(model, count: int, seed: int) -> np.ndarray:
    """Random inputs of the scale that the model takes: 0 to 255 if it rescales them itself."""
    values = np.random.default_rng(seed).standard_normal((count, *model.input_shape[1:]), dtype="float32")
    # ConvNeXt has a Normalization instead, EfficientNet one behind its Rescaling.
    if any(isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization) for layer in model.layers):
        return np.clip(values * 60 + 127, 0, 255)
    return values


def centre(model, inputs) -> None:
    """Sets the last bias so that each class has a mean score of 0: else one class would always win."""
    last = [layer for layer in model.layers if getattr(layer, "bias", None) is not None][-1]
    mean = outputs(model, inputs).mean(axis=0)
    last.bias.assign(keras.ops.convert_to_numpy(last.bias) - mean)


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference as a share of the range."""
    return float(np.abs(found - expected).max() / np.ptp(expected))


def stripped(name: str, seed: int) -> keras.Model:
    model, _, _ = half_zeroed(name, seed, images)
    result = tf_wgsef.strip(model, seed=seed)
    centre(result.model, images(model, CALIBRATION, seed + 1))
    return result.model


def files_row(model: keras.Model, seed: int) -> dict:
    """Converts the model to a float and an int8 file and compares both on inputs that none of them saw."""
    calibration, test = images(model, CALIBRATION, seed + 1), images(model, TEST, seed + 2)
    expected = np.concatenate([outputs(model, test[i : i + 32]) for i in range(0, TEST, 32)])
    float_file = tf_wgsef.convert(model, calibration=calibration, force=True)
    scores = predict(float_file, test)
    row = {
        "samples": TEST,
        "float_bytes": len(float_file),
        "float_difference": difference(scores, expected),
        "float_agreement": float(np.mean(scores.argmax(axis=1) == expected.argmax(axis=1))),
        "classes": len(np.unique(scores.argmax(axis=1))),
    }
    del float_file
    gc.collect()
    try:
        file = tf_wgsef.convert(model, quantization="int8", calibration=calibration, force=True)
    except tf_wgsef.ConversionError as error:
        return row | {"int8_reason": " ".join(str(error).split())}
    found = predict(file, test)
    return row | {
        "int8_bytes": len(file),
        "int8_difference": difference(found, scores),
        "int8_mean_difference": float(np.abs(found - scores).mean() / np.ptp(scores)),
        "int8_agreement": float(np.mean(found.argmax(axis=1) == scores.argmax(axis=1))),
        "integer_only": file.record.contents.integer_only,
        "int8_reason": file.record.problem or "",
    }


def deployed_row(name: str, seed: int = 0) -> dict:
    """All figures of one model; ``error`` says what failed."""
    row: dict = {"model": name}
    start = time.perf_counter()
    try:
        model = stripped(name, seed)
        gc.collect()
        row |= {"input": list(model.input_shape[1:]), "parameters": model.count_params()}
        row |= files_row(model, seed)
    except (tf_wgsef.WGSEFError, RuntimeError) as error:
        row["error"] = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return row | {"seconds": time.perf_counter() - start}


def fails(row: dict) -> str:
    """Why a row misses the bar, or ""."""
    if row.get("error"):
        return row["error"]
    if not row["float_difference"] <= DIFFERENCE:
        return f"float file: {row['float_difference']:.1e} of the range, above {DIFFERENCE:g}"
    return ""
