"""In a checkout, compat/ and models/ lie beside this folder and not in it; python finds these two there, and no more.

So a script that runs in the checkout's folder, which comes before installed packages, has the whole package.
"""

import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from typing import Any

_folder = os.path.dirname(os.path.abspath(__file__))


class _Beside:
    """Finds pyconvnet.compat and pyconvnet.models beside pyconvnet/, where they are not in it."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        package, _, folder = name.rpartition(".")
        if package != "pyconvnet" or folder not in ("compat", "models"):
            return None
        place = os.path.join(os.path.dirname(_folder), folder)
        init = os.path.join(place, "__init__.py")
        return spec_from_file_location(name, init, submodule_search_locations=[place]) if os.path.isfile(init) else None


if not os.path.isdir(os.path.join(_folder, "compat")):
    # in front of the finder of another checkout, which may be installed as editable
    sys.meta_path.insert(0, _Beside)
