"""Pictures of the gallery: the figure that is the value of a block, with the text that its comment gives.

    # sphinx_gallery_alt = "What is seen, for those who do not see it"
    view.picture(image).figure
"""

import re
from typing import Any

from sphinx_gallery.scrapers import figure_rst

_TEXT = re.compile(r'^# sphinx_gallery_alt = "(.*)"$', re.MULTILINE)


def scraper(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """The picture as reStructuredText; raises ValueError where its text is missing."""
    from matplotlib.figure import Figure

    names = block_vars["example_globals"]
    figure, names["___"] = names.get("___"), None  # where sphinx-gallery keeps the value of a block
    if not isinstance(figure, Figure):
        return ""
    text = _TEXT.search(block.content)
    if text is None:
        raise ValueError(f"{block_vars['src_file']}, line {block.lineno}: a picture without # sphinx_gallery_alt")
    path = next(block_vars["image_path_iterator"])
    figure.savefig(path)
    return figure_rst([path], gallery_conf["src_dir"], text[1])
