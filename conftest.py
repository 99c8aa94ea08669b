"""Lets pytest run from a checkout without installing: pyconvnet.compat and pyconvnet.models lie beside pyconvnet/."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


def _mount(name: str, folder: Path) -> None:
    if name in sys.modules or importlib.util.find_spec(name) is not None:
        return
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


import pyconvnet  # noqa: E402, F401  (the parent must be there before its parts)

_mount("pyconvnet.compat", ROOT / "compat")
_mount("pyconvnet.models", ROOT / "models")
