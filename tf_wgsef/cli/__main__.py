"""``python -m tf_wgsef.cli`` is ``tf-wgsef``."""

from tf_wgsef.cli import main

main()
