"""Networks that users of the field recognise, as plain Keras models that return logits."""

from ._densenet import densenet40 as densenet40
from ._ds_cnn import ds_cnn as ds_cnn
from ._lenet5 import lenet5 as lenet5
from ._mobilenet import mobilenet_v1_025 as mobilenet_v1_025
from ._resnet import resnet8 as resnet8
from ._resnet import resnet18 as resnet18
from ._resnet import resnet20 as resnet20
from ._resnet import resnet56 as resnet56
from ._vgg import vgg16_bn as vgg16_bn
from ._vit import small_vit as small_vit
