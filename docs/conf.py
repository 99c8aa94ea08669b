"""The site: `python -m sphinx -W -j 2 docs build/site`, then `python -m http.server --directory build/site`."""

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

here = Path(__file__).parent
sys.path[:0] = [str(here / "_ext"), str(here.parent)]
# Pages are run by kernels of their own, which see this checkout too.
os.environ["PYTHONPATH"] = os.pathsep.join([str(here.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
os.environ["MATPLOTLIBRC"] = str(here / "_static" / "matplotlibrc")
os.environ["PYCONVNET_QUIET"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two pages run at once; and trainings end alike on any number of cores

import pyconvnet  # noqa: E402

project = "pyconvnet"
author = "the pyconvnet developers"
version = release = pyconvnet.__version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "plain_docstrings",
    "command_line",
    "code_links",
    "notebooks",
    "pictures",
]
exclude_patterns = ["gallery", "auto_gallery/*.ipynb", "**sg_execution_times.rst", "**/.ipynb_checkpoints"]
nitpicky = True

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = "pyconvnet"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/icon.svg"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f6fb4", "color-brand-content": "#1f6fb4"},
    "dark_css_variables": {"color-brand-primary": "#6fb1ea", "color-brand-content": "#6fb1ea"},
}

# Pages are notebooks in text: every code cell is run. An error is a warning with its traceback, which fails under -W.
nb_execution_mode = "auto"
nb_execution_timeout = 600
nb_merge_streams = True
nb_execution_show_tb = True
# PyTorch is large, and the extra [docs] has all but that: without it, the pages that use it are shown without results.
_CELL = re.compile(r"^```\{code-cell\}.*?^```$", re.MULTILINE | re.DOTALL)
nb_execution_excludepatterns = [
    str(page.relative_to(here))
    for page in sorted(here.rglob("*.md"))
    if not find_spec("torch") and any("torch" in cell for cell in _CELL.findall(page.read_text(encoding="utf-8")))
]
suppress_warnings = ["myst-nb.lexer"]  # pages that are not run have no colours either
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
    "image_scrapers": ("pictures.scraper",),
    "capture_repr": (),
    "remove_config_comments": True,
}
# Docstrings say sizes and types in words; pages say in their titles of which module they are.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_docstring_signature = False
add_module_names = False
toc_object_entries_show_parents = "hide"
smartquotes = False  # quotes in help texts are those of code
