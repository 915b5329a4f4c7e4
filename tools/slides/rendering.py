"""Slides as HTML: Markdown with formulas, and of a code cell what it puts out or, where that is nothing, its code."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from tools.refresh import streams_joined
from tools.slides.selection import Part, Slide

LOOK = re.compile(r'<p class="explorer-look">(.*?)</p>', re.S)  # what an explorer tells to look for: after they looked
SHAPE = re.compile(r'<img [^>]*width="(\d+)" height="(\d+)"')
CODE = HtmlFormatter(style="a11y-high-contrast-light", cssclass="highlight")


def deck(slides: Sequence[Slide]) -> str:
    """All slides, as the sections that reveal.js shows; what belongs together is a section of sections."""
    columns: list[list[str]] = []
    for number, slide in enumerate(slides, 1):
        if not (slide.below and columns):
            columns.append([])
        columns[-1].append(_section(slide, f"{number} / {len(slides)}", slides[0].title))
    return "\n".join(column[0] if len(column) == 1 else _stack(column) for column in columns)


def style() -> str:
    """The colours of code."""
    return CODE.get_style_defs(".highlight")


def markdown(text: str) -> str:
    """Markdown as HTML, formulas left to MathJax. A slide is no place to leave: of a link the words stay."""
    return MARKDOWN.render(text)


def _stack(sections: Sequence[str]) -> str:
    return "\n".join(["<section>", *sections, "</section>"])


def _section(slide: Slide, number: str, chapter: str) -> str:
    level = "h1" if slide.title == chapter else "h2"
    title = MARKDOWN.renderInline(slide.title)
    parts = "\n".join(piece for part in slide.parts for piece in _part(part))
    notes = "\n".join(map(markdown, slide.notes))
    return (
        f'<section>\n<div class="slide"><{level}>{title}</{level}>\n{parts}\n'
        f"<footer><span>{number}</span> <span>{MARKDOWN.renderInline(chapter)}</span></footer></div>\n"
        f'<aside class="notes">{notes}</aside>\n</section>'
    )


def _part(part: Part) -> Iterator[str]:
    kind = " fragment" if part.fragment else ""
    if part.words.strip():
        yield f'<div class="words{kind}">{markdown(part.words)}</div>'
    if part.code is not None:
        put_out = [piece for output in streams_joined(part.code.outputs) for piece in _output(output)]
        shown = put_out or [highlight(part.code.source, PythonLexer(), CODE)]
        yield from (piece.replace('class="', f'class="part{kind} ', 1) for piece in shown)
        yield from (f'<p class="look fragment">{words}</p>' for piece in shown for words in LOOK.findall(piece))


def _output(output: NotebookNode) -> Iterator[str]:
    """What an output shows, its best form alone; an explorer is HTML, keeps swipes to itself and tells its shape.

    What else is HTML, a claim or a verdict, is words.
    """
    data = output.get("data", {})
    if "text/html" in data and not (shape := SHAPE.search(data["text/html"])):
        yield f'<div class="told">{data["text/html"]}</div>'
    elif "text/html" in data:
        ratio = int(shape[1]) / int(shape[2])
        yield f'<div class="alive" data-prevent-swipe style="--ratio: {ratio:.4f}">{data["text/html"]}</div>'
    elif "image/png" in data:
        alt = html.escape(output.metadata.get("image/png", {}).get("alt", ""))
        source = data["image/png"].replace("\n", "")
        yield f'<img class="picture" src="data:image/png;base64,{source}" alt="{alt}">'
    elif text := output.get("text") or data.get("text/plain"):
        yield f'<pre class="printed">{html.escape(text.rstrip())}</pre>'


def _formula(content: str, options: dict) -> str:
    left, right = (r"\[", r"\]") if options["display_mode"] else (r"\(", r"\)")
    return left + html.escape(content.strip()) + right


MARKDOWN = MarkdownIt("commonmark").enable("table")
MARKDOWN.use(dollarmath_plugin, renderer=_formula).use(amsmath_plugin)
for _end in ("link_open", "link_close"):
    MARKDOWN.add_render_rule(_end, lambda *_: "")
