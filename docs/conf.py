"""Settings of the documentation site: ``make docs`` builds it into ``build/docs``."""

from __future__ import annotations

import re
from importlib.metadata import version as installed_version
from typing import Any

from docutils import nodes

project = "clipcli"
author = "The clipcli developers"
copyright = "2026, The clipcli developers"  # noqa: A001 - the name that Sphinx reads
release = version = installed_version("clipcli")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["build"]

myst_heading_anchors = 3
suppress_warnings = ["myst.strikethrough"]
smartquotes = False  # examples must stay as they are typed

autodoc_default_options = {"members": True, "show-inheritance": True, "member-order": "bysource"}
autodoc_typehints = "description"
autodoc_typehints_format = "short"
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_title = "clipcli"
html_static_path = ["static"]
html_css_files = ["clipcli.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "navigation_with_keys": False,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}


def setup(app: Any) -> None:
    """Keep numbers and their percent signs on one line."""
    app.connect("doctree-resolved", join_percentages)


def join_percentages(app: Any, doctree: Any, docname: str) -> None:  # noqa: ARG001 - the signature of Sphinx
    """Put a no-break space between a number and its percent sign, except in code."""
    for text in list(doctree.findall(nodes.Text)):
        joined = re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)
        if joined != text and not isinstance(text.parent, (nodes.literal, nodes.literal_block)):
            text.parent.replace(text, nodes.Text(joined))
