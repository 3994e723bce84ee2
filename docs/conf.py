"""Sphinx: `uv run --group docs sphinx-build -W docs .cutover/docs` builds these pages as HTML."""

project = "Cutover"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "Cutover"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["pages.css"]
exclude_patterns = ["decisions/*"]
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing"]  # links to files of the repository that are no pages
