"""Sphinx's settings: MyST pages, API from docstrings, formulas as MathML, so that a page asks no server for anything.

    make docs
"""

from __future__ import annotations

import html
import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

import icm_bench

project = "icm-bench"
author = "icm-bench developers"
project_copyright = author
version = release = icm_bench.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"icm-bench {version}"
html_static_path = ["_static"]
html_css_files = ["icm.css"]
html_copy_source = False
smartquotes = False  # "--option" is no dash
highlight_language = "text"
html_math_renderer = "mathml"

myst_enable_extensions = ["dollarmath", "deflist", "attrs_inline"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True}
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

# Names of other libraries have no page here; those of icm_bench must lead somewhere.
nitpick_ignore_regex = [
    ("py:.*", r"(?!icm_bench).*"),
    ("py:.*", r"icm_bench\.(changes|database|engine|shard|units)\..*"),  # signatures name them, they have no page
]


def visit_math(translator: Any, node: nodes.math | nodes.math_block) -> None:
    """Write a formula as MathML, which browsers draw by themselves. One that cannot be read is a warning."""
    is_block = isinstance(node, nodes.math_block)
    text = re.sub(r"\s+", " ", node.astext()).strip()
    try:
        made = tex2mathml(text, as_block=is_block)
    except MathError as error:
        logging.getLogger(__name__).warning("formula %r: %s", text, error, location=node)
        raise nodes.SkipNode from error
    label = html.escape(text, quote=True)
    made = made.replace("<math ", f'<math aria-label="{label}" ', 1)
    translator.body.append(f'<div class="formula">{made}</div>\n' if is_block else made)
    raise nodes.SkipNode


def literal(app: Any, what: str, name: str, owner: Any, options: Any, lines: list[str]) -> None:
    """Show indented parts of a module's docstring, drawings and layouts, as they are."""
    if what == "module":
        starts = [i for i, line in enumerate(lines) if line.startswith("    ") and not lines[i - 1].strip()]
        for i in reversed([i for i in starts if not lines[i - 2].startswith(" ")]):
            lines[i:i] = ["::", ""]


def setup(app: Any) -> dict[str, bool]:
    """Register the writer of formulas and the reader of docstrings."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
    app.connect("autodoc-process-docstring", literal)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
