import sys

import pytest

import tf_wgsef
from tests.training.toys import EachEpoch, data, live_counts, mlp, sparse_mlp
from tf_wgsef.errors import InputError


def scalars(folder):
    """{tag: values by step} of the event file, by TensorBoard's own reader."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    return {
        tag: [float(make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
        if tag.startswith("epoch_")
    }


def test_live_groups_of_each_layer_are_in_the_event_file(tmp_path):
    pytest.importorskip("tensorboard")
    sparse = sparse_mlp()
    seen = EachEpoch(lambda model: live_counts(model.model, ("h1", "h2")))
    x, y = data()
    board = tf_wgsef.GroupTensorBoard(tmp_path)
    sparse.fit(x, y, batch_size=4, epochs=4, verbose=0, validation_data=(x, y), callbacks=[seen, board])
    written = scalars(tmp_path / "train")
    for layer in ("h1", "h2"):
        assert written[f"epoch_live_groups/{layer}"] == [counts[layer] for counts in seen.found]
    assert seen.found[-1] == {"h1": 4, "h2": 3}
    assert len(written["epoch_loss"]) == 4
    assert "epoch_loss" in scalars(tmp_path / "validation")


def test_without_tensorboard_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(InputError, match=r'pip install "tf-wgsef\[report\]"') as caught:
        tf_wgsef.GroupTensorBoard("logs")
    assert "\n" not in str(caught.value)


def test_a_plain_model_has_no_groups_to_count(tmp_path):
    pytest.importorskip("tensorboard")
    model = mlp()
    model.compile("sgd", "mse")
    x, y = data()
    with pytest.raises(InputError, match="a ProximalModel.*model='mlp', a Sequential.*sparsify"):
        model.fit(x, y, verbose=0, callbacks=[tf_wgsef.GroupTensorBoard(tmp_path)])
