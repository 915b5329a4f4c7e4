"""How Sphinx turns the assembled pages into a site. `make book` calls it; see tools/book."""

import importlib.util
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from helpers.lesson.explorer import still  # noqa: E402

project = "Neural networks as differential equations"
html_title = project
author = "The companion's contributors"
release = version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
project_copyright = f"{author}. Text and figures CC BY 4.0, code MIT"
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax", "sphinx_copybutton"]
templates_path = ["templates"]

# --- Markdown and notebooks
myst_enable_extensions = ["dollarmath", "amsmath", "attrs_inline"]
myst_heading_anchors = 4  # every heading down to the fourth can be linked to, as in JupyterLab
nb_execution_mode = "off"  # they have been executed, once
nb_merge_streams = True
nb_ipywidgets_js = {}  # no widget is left on a page
nb_mime_priority_overrides = [("html", "text/html", 0), ("html", "image/png", 5)]

# --- the reference
default_role = "code"  # in docstrings a word between backticks is code
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say it in words
autodoc_class_signature = "mixed"
autodoc_default_options = {"exclude-members": "extra_repr"}  # torch's hook, with torch's words
napoleon_custom_sections = [("Yields", "returns_style")]
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

# --- the site
html_theme = "furo"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5394", "color-brand-content": "#0b5394"},
    "dark_css_variables": {"color-brand-primary": "#8ec7ff", "color-brand-content": "#8ec7ff"},
    "top_of_page_buttons": [],
}
html_static_path = ["static"]
html_extra_path = ["../build/book/extra"]
html_css_files = ["explorer.css", "book.css"]
html_js_files = [("explorer.js", {"defer": "defer"}), ("book.js", {"defer": "defer"})]
html_show_search_summary = False  # it would fetch pages, which a browser refuses to do from a disk
html_copy_source = False
html_show_sourcelink = False
html_permalinks_icon = "#"
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"
copybutton_selector = "div.cell_input pre, div.highlight-default pre, div.highlight-bibtex pre"

# --- mathematics, served from the site itself: one file, its letters drawn as outlines
MATHJAX = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static/mathjax/tex-svg.js"
mathjax_path = "mathjax.js"


def add_assets(app, *_):
    """Put the explorers' script and style, and MathJax, beside the theme's own files."""
    static = Path(app.outdir) / "_static"
    static.mkdir(parents=True, exist_ok=True)
    (static / "explorer.js").write_text(still.script(), encoding="utf-8")
    (static / "explorer.css").write_text(still.style(), encoding="utf-8")
    (static / "mathjax.js").write_bytes(MATHJAX.read_bytes())


def take_at_its_word(app, kind, name, thing, options, lines):
    """A docstring is plain text with code between backticks: |R(z)| and y* are mathematics, and no markup."""
    for i, line in enumerate(lines):
        code = line.split("`")
        code[::2] = [re.sub(r"(?<!\\)([|*])", r"\\\1", words) for words in code[::2]]
        lines[i] = "`".join(code)


def give_captions_a_level(app, page, template, context, doctree):
    """The theme makes headings of the captions in the sidebar, and forgets to say of which level."""
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')


# A link that is one formula and nothing else: its address, and the formula.
SIGN = re.compile(
    r'<a class="reference internal" (href="[^"]*#sign-[^"]*")>((?:<span[^>]*>)+\\\(([^<]*?)\\\)(?:</span>)+</a>)'
)


def name_the_links_of_signs(app, page, template, context, doctree):
    """Give such a link a name: a screen reader finds none in the formula, before it is set or after."""
    def named(link):
        return f'<a class="reference internal" aria-label="the sign {spoken(link[3])}" {link[1]}>{link[2]}'

    context["body"] = SIGN.sub(named, context.get("body", ""))


def spoken(formula: str) -> str:
    """A short formula as words: \\lambda is lambda, x_k is x k."""
    return " ".join(re.sub(r"[\\{}_^]", " ", formula).split())


def setup(app):
    app.connect("builder-inited", add_assets)
    app.connect("autodoc-process-docstring", take_at_its_word, priority=100)  # before napoleon, which writes markup
    app.connect("html-page-context", give_captions_a_level, priority=900)  # after the theme
    app.connect("html-page-context", name_the_links_of_signs)
