"""`pcn.vl_nnconv` in a text leads to its place in the reference; so do `vl_nnconv`, `models.build()` and their like."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

# A dotted name of the library, or one of MatConvNet's functions; perhaps with what is in brackets after it.
NAME = re.compile(
    r"(?:(?:pcn|pyconvnet)\.([A-Za-z_][\w.]*)|(\w+\.[\w.]+|(?:vl_|cnn_train)\w*))(?:\((?!.*->).*\))?", re.DOTALL
)


class CodeLinks(SphinxPostTransform):
    default_priority = 400

    def run(self, **options: Any) -> None:
        objects = self.env.get_domain("py").objects  # type: ignore[attr-defined]
        for literal in list(self.document.findall(nodes.literal)):
            named = NAME.fullmatch(literal.astext())
            inside = literal.parent
            while inside is not None and not isinstance(inside, (nodes.reference, nodes.title)):
                inside = inside.parent
            name = named and f"pyconvnet.{named[1] or named[2]}"
            if not name or inside is not None or name not in objects:
                continue
            entry = objects[name]
            copy = literal.deepcopy()
            link = make_refnode(self.app.builder, self.env.docname, entry.docname, entry.node_id, copy, name)
            literal.replace_self(link)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_post_transform(CodeLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
