"""Stages in sequence: the only place that knows them all."""

from ._demo import run_demo as run_demo
from ._deploy import Deployment as Deployment
from ._deploy import deploy as deploy
from ._device import DeviceFacts as DeviceFacts
from ._device import channel_step as channel_step
from ._device import probe_device as probe_device
from ._file_inspection import contents_view as contents_view
from ._file_inspection import inspect_file as inspect_file
from ._inspection import Inspection as Inspection
from ._inspection import inspect_model as inspect_model
from ._progress import WorkflowProgress as WorkflowProgress
from ._report_models import TestData as TestData
from ._report_models import compare_two_models as compare_two_models
from ._report_models import convert_models as convert_models
from ._report_models import report_models as report_models
from .data import load_digits_28 as load_digits_28
from .networks import lenet5 as lenet5
