"""Images to train on, from the network or from a folder."""

from ._cifar10 import load_cifar10 as load_cifar10
from ._digits import load_digits_28 as load_digits_28
from ._image_data import ImageData as ImageData
from ._image_data import from_arrays as from_arrays
from ._keywords import load_keywords as load_keywords
from ._mnist import load_mnist as load_mnist
