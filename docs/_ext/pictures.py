"""Pictures of the gallery: a figure that is the value of a block, with the text of its comment sphinx_gallery_alt.

The comment itself is not shown: `# sphinx_gallery_alt = "What is seen, for those who do not see it"`.
"""

import re
from html import unescape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx_gallery.scrapers import figure_rst

_SUMMARY = re.compile(r'class="sphx-glr-thumbcontainer" tooltip="([^"]*)"')
_TEXT = re.compile(r'^# sphinx_gallery_alt = "(.*)"$', re.MULTILINE)


def scraper(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """The picture as reStructuredText; raises ValueError where its text is missing."""
    from matplotlib.figure import Figure

    names = block_vars["example_globals"]
    figure = names.get("___")  # where sphinx-gallery keeps the value of a block
    names["___"] = None
    if not isinstance(figure, Figure):
        return ""
    text = _TEXT.search(block.content)
    if text is None:
        raise ValueError(f"{block_vars['src_file']}, line {block.lineno}: a picture without # sphinx_gallery_alt")
    path = next(block_vars["image_path_iterator"])
    figure.savefig(path)
    return figure_rst([path], gallery_conf["src_dir"], text[1])


def thumbnails(app: Sphinx, doctree: nodes.document) -> None:
    """Give the small pictures of an overview the first lines of their pages, which it has as hints, as their texts."""
    summary = ""
    for node in doctree.findall(lambda node: isinstance(node, (nodes.raw, nodes.image))):
        if isinstance(node, nodes.raw) and (found := _SUMMARY.search(node.astext())):
            summary = unescape(found[1])
        elif isinstance(node, nodes.image) and summary:
            node["alt"], summary = summary, ""


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-read", thumbnails)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
