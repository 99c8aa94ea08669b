"""In a checkout, compat/ and models/ lie beside this folder and not in it; python finds them there too.

So a script that runs in the checkout's folder, which comes before what is installed, has the whole package.
"""

import os
import sys

_package = sys.modules["pyconvnet"]
_folder = os.path.dirname(os.path.abspath(__file__))
if not os.path.isdir(os.path.join(_folder, "compat")):
    _package.__path__.append(os.path.dirname(_folder))
