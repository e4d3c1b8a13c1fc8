"""How the documentation site is built: `make docs` reads this file, Sphinx does the work."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from goalmaze.envs.look import PAGE, hexadecimal

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))

_PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]

project = _PROJECT["name"]
author = "The goalmaze authors"
project_copyright = f"{author}; MIT licence"
release = version = _PROJECT["version"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "api_reference",
    "docstrings",
    "navigation",
    "notebook_pages",
    "repository_links",
]
exclude_patterns = ["extensions"]

# An unresolved cross-reference is a warning, and `make docs` turns every warning into an error.
myst_enable_extensions = ["html_image"]
myst_heading_anchors = 4
myst_footnote_transition = False

# Docstrings write `name` in single backticks: a link where the name is documented, plain code elsewhere.
highlight_language = "text"
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
maximum_signature_line_length = 100
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["static"]
html_css_files = ["goalmaze.css"]
html_copy_source = False
html_show_sourcelink = False
# The search page would fetch each result for its summary, which a browser refuses for pages opened from disk.
html_show_search_summary = False
BRAND = ("color-brand-primary", "color-brand-content")
html_theme_options = {
    "light_css_variables": dict.fromkeys(BRAND, hexadecimal(PAGE["accent"].light)),
    "dark_css_variables": dict.fromkeys(BRAND, hexadecimal(PAGE["accent"].dark)),
}
