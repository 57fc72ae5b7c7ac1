"""What runs in a process of its own: Keras 2 and ``tensorflow-model-optimization``, and no Keras 3.

``tf_wgsef.convert.aware`` starts it (``python -m tf_wgsef.keras2``) in a private folder that holds the job
and the model, sends batches to its standard input and reads one line of JSON per event from its standard
output.
"""
