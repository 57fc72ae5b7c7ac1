"""Remove what is zero and leave the outputs the same: plan → smaller model → proof."""

from tf_wgsef.callable_module import make_callable

from ._proof import Proof as Proof
from ._proof import prove_equal as prove_equal
from ._rebuild import rebuild as rebuild
from ._result import StrippedLayer as StrippedLayer
from ._result import StripResult as StripResult
from ._strip import strip as strip

make_callable(__name__)
