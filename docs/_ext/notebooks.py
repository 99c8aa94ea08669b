"""Every page with code is a Jupyter notebook too, to be downloaded: its link stands below the title of the page."""

import re
from pathlib import Path
from posixpath import basename
from typing import Any

import jupytext
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.display import status_iterator

_FRONT = re.compile(r"\A---\njupytext:\n")


def is_notebook(app: Sphinx, page: str) -> bool:
    source = Path(app.env.doc2path(page))
    return (
        page != app.config.root_doc
        and source.suffix == ".md"
        and _FRONT.match(source.read_text(encoding="utf-8")) is not None
    )


def link(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    if doctree is not None and is_notebook(app, page):
        name = basename(page) + ".ipynb"
        line = f'<p class="notebook"><a href="{name}" download>Open as a notebook</a>: {name}, for Jupyter</p>'
        context["body"] = context["body"].replace("</h1>", "</h1>\n" + line, 1)


def write(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    pages = [page for page in sorted(app.env.found_docs) if is_notebook(app, page)]
    for page in status_iterator(pages, "writing notebooks... ", "brown", len(pages), app.verbosity):
        jupytext.write(jupytext.read(Path(app.env.doc2path(page))), Path(app.outdir) / f"{page}.ipynb")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", link)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
