"""Data sets from a folder: decoded as they were coded, and one clear line where they are not there."""

import io

import numpy as np
import pytest
from PIL import Image

from tf_wgsef.errors import InputError
from tf_wgsef.workflows.data import from_arrays, load_cifar10, load_keywords, load_mnist


def test_mnist_from_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_WGSEF_DATA", str(tmp_path))
    x = np.random.default_rng(0).integers(0, 256, (5, 28, 28)).astype("uint8")
    np.savez(tmp_path / "mnist.npz", x_train=x[:3], y_train=[1, 2, 3], x_test=x[3:], y_test=[4, 5])
    data = load_mnist()
    np.testing.assert_allclose(data.x_train[..., 0], x[:3] / 255, rtol=1e-6)
    assert data.y_test.tolist() == [4, 5] and data.x_test.dtype == "float32"


def coded(images):
    parts = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, format="jpeg", quality=95)
        parts.append(np.frombuffer(buffer.getvalue(), "uint8"))
    return np.concatenate(parts), np.cumsum([0, *map(len, parts)])


def test_cifar10_from_a_folder_is_decoded_image_by_image(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_WGSEF_DATA", str(tmp_path))
    shades = np.stack([np.full((32, 32, 3), shade, "uint8") for shade in (10, 60, 200)])
    arrays = {}
    for part, images in (("train", shades[:2]), ("test", shades[2:])):
        arrays[f"{part}_jpeg"], arrays[f"{part}_offsets"] = coded(images)
        arrays[f"y_{part}"] = np.arange(len(images))
    np.savez(tmp_path / "cifar10_jpeg.npz", **arrays)
    data = load_cifar10()
    np.testing.assert_allclose(data.x_train.mean(axis=(1, 2, 3)) * 255, [10, 60], atol=1)
    assert "JPEG" in data.name and data.x_test.shape == (1, 32, 32, 3)


@pytest.mark.parametrize("load", [load_mnist, load_cifar10])
def test_a_folder_without_the_file_is_one_clear_line(load, tmp_path, monkeypatch):
    monkeypatch.setenv("TF_WGSEF_DATA", str(tmp_path))
    with pytest.raises(InputError, match="npz in the folder that TF_WGSEF_DATA names.*Unset it"):
        load()


def keywords(folder, **change):
    arrays = {"x_train": np.ones((6, 49, 10)), "y_train": np.arange(6), "x_test": np.zeros((2, 49, 10, 1)),
              "y_test": np.array([[11], [0]]), **change}  # fmt: skip
    np.savez(folder / "keywords.npz", **arrays)


def test_keywords_from_a_folder(tmp_path, monkeypatch):
    with monkeypatch.context() as without:
        without.delenv("TF_WGSEF_DATA", raising=False)
        with pytest.raises(
            InputError, match="TF_WGSEF_DATA to name a folder with keywords.npz.*not downloaded"
        ):
            load_keywords()
    monkeypatch.setenv("TF_WGSEF_DATA", str(tmp_path))
    with pytest.raises(InputError, match="Expected a file.*keywords.npz"):
        load_keywords()
    keywords(tmp_path)
    data = load_keywords()
    assert data.x_train.shape == (6, 49, 10, 1) and data.y_test.tolist() == [11, 0]
    for change in ({"y_train": np.arange(6) + 7}, {"x_test": np.zeros((2, 49, 11))}):
        keywords(tmp_path, **change)
        with pytest.raises(InputError, match=r"shape \(n, 49, 10\) and classes from 0 to 11"):
            load_keywords()
    (tmp_path / "keywords.npz").write_bytes(b"PK torn")
    with pytest.raises(InputError, match="arrays written by numpy.savez"):
        load_keywords()


X, Y = np.zeros((2, 4, 4, 1)), np.array([0, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_test": None}, "x_train, y_train, x_test and y_test"),
        ({"y_train": np.array([0])}, "x_train of shape"),
        ({"y_train": np.array([0.5, 1])}, "one class"),
        ({"y_test": np.array([-1, 0])}, "one class"),
        ({"y_test": np.eye(2)}, "one class"),
        ({"y_train": np.array([0, 2**31])}, "one class"),
        ({"y_train": np.array([0, 1e300])}, "one class"),
        ({"x_train": np.array(["a", "b"])}, "of numbers"),
        ({"x_train": np.full(X.shape, np.nan)}, "x_train of numbers that float32 holds"),
        ({"x_test": np.full(X.shape, 1e300)}, "x_test of numbers that float32 holds"),
        ({"x_test": np.zeros((0, 4, 4, 1)), "y_test": np.zeros(0)}, "x_test"),
    ],
)
def test_arrays_that_are_no_images_with_classes(change, message):
    arrays = {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y, **change}
    with pytest.raises(InputError, match=message):
        from_arrays({name: array for name, array in arrays.items() if array is not None}, "mine")


@pytest.mark.parametrize(("load", "name"), [(load_mnist, "mnist.npz"), (load_cifar10, "cifar10_jpeg.npz")])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", "other arrays"])
def test_a_damaged_file_in_the_folder_is_one_clear_line(load, name, content, tmp_path, monkeypatch):
    monkeypatch.setenv("TF_WGSEF_DATA", str(tmp_path))
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        np.savez(tmp_path / name, a=np.zeros(3))
    with pytest.raises(InputError, match="Expected "):
        load()


@pytest.mark.parametrize(("load", "module"), [(load_mnist, "mnist"), (load_cifar10, "cifar10")])
def test_without_a_network_the_folder_is_named(load, module, monkeypatch):
    def fail():
        raise Exception(f"URL fetch failure on {module}: None -- [Errno -3] Temporary failure")  # Keras's own

    monkeypatch.delenv("TF_WGSEF_DATA", raising=False)
    monkeypatch.setattr(f"keras.datasets.{module}.load_data", fail)
    with pytest.raises(InputError, match="URL fetch failure.*set TF_WGSEF_DATA to a folder with"):
        load()


def test_an_array_without_axes_is_refused():
    with pytest.raises(InputError, match="Expected x_train of numbers"):
        from_arrays({"x_train": 1.0, "y_train": [1], "x_test": 1.0, "y_test": [1]}, "odd")
