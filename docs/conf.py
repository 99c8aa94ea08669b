"""The site: `sphinx-build -W docs build/site`, then `python -m http.server --directory build/site`."""

import os
import sys
from pathlib import Path

here = Path(__file__).parent
sys.path[:0] = [str(here / "_ext"), str(here.parent)]
# Pages are run by kernels of their own, which see this checkout too.
os.environ["PYTHONPATH"] = os.pathsep.join([str(here.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
os.environ["MATPLOTLIBRC"] = str(here / "_static" / "matplotlibrc")
os.environ["PYCONVNET_QUIET"] = "1"

import pyconvnet  # noqa: E402

project = "pyconvnet"
author = "the pyconvnet developers"
version = release = pyconvnet.__version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "plain_docstrings",
    "command_line",
    "code_links",
]
exclude_patterns = ["gallery", "auto_gallery/*.ipynb", "**sg_execution_times.rst", "**/.ipynb_checkpoints"]
nitpicky = True

html_theme = "furo"
html_title = "pyconvnet"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False

# Pages are notebooks in text: every code cell is run, and an error stops the build.
nb_execution_mode = "auto"
nb_execution_raise_on_error = True
nb_execution_timeout = 240
nb_merge_streams = True
nb_execution_show_tb = True
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"\.py$",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 10**6,
    "abort_on_example_error": True,
}
# Docstrings say sizes and types in words; pages say in their titles of which module they are.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_docstring_signature = False
add_module_names = False
toc_object_entries_show_parents = "hide"
smartquotes = False  # quotes in help texts are those of code
