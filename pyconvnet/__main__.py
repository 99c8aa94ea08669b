"""python -m pyconvnet: the command line."""

import sys

from pyconvnet.cli import main

sys.exit(main())
