"""Files that users name, in a process that knows of the package what the command line does."""

from tests.training.processes import run_alone


def save(path):
    import keras

    from tf_wgsef.baselines import SparseConnections2D, slimming

    layers = [SparseConnections2D(4, 3, density=0.5), keras.layers.BatchNormalization()]
    model = keras.Sequential([keras.Input((8, 8, 4)), *layers])
    slimming(model, 1e-4).save(path)


def load(path):
    from tf_wgsef.workflows._files import load_keras_model

    assert load_keras_model(path).count_params() > 0


def test_models_with_layers_of_the_baselines_load(tmp_path):
    path = str(tmp_path / "model.keras")
    run_alone(save, path)
    run_alone(load, path)
