"""What can be counted of the contract of a chapter, as rules that say in one line what is wrong.

A rule is a function of a `Chapter`; it yields a sentence for everything that breaks it. nbval compares what
cells print; these rules hold what it does not look at: pictures, lengths, cells that were never run, traces
of a machine.
"""

from __future__ import annotations

import ast
import itertools
import re
import statistics
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools.refresh import KERNEL, TRACES, WIDGET, texts

LARGEST = 1_500_000  # bytes
WIDEST = 100  # characters of a line of code: as many as a window of 1280 pixels shows
LONGEST, LONG, MEDIAN = 40, 20, 6  # lines of a code cell: none, nine in ten, half of them are longer
WORDS = (8, 12)  # of prose per line of code
LEAST = {"claims": 8, "explorers": 3, "exercises": 5}
LEAST_ON_THE_MAP = {"claims": 6, "explorers": 1, "exercises": 4}  # chapter 00 is a map, not a lesson

NETWORK = re.compile(
    r"https?://|\b(?:urllib|requests|httpx?|aiohttp|socket|ftplib|wget|curl|gdown)\b(?!\s*=)|\bfetch_\w+"
    r"|\bdownload\s*=\s*True|\bload_state_dict_from_url|\btorch\.hub\b|[!%]\s*(?:pip|conda|git|apt)\b"
)
PICTURES = ("image/png", "image/jpeg", "image/svg+xml", "image/gif", "image/webp")
MARKDOWN_PICTURE = re.compile(r"!\[([^\]]*)\]\(|<img\b[^>]*>")
WIDGET_TEXT = re.compile(r"^(?:interactive|Output|[HV]Box|Tab|Accordion|\w*Slider|\w+Widget)\(")

ESCAPES = ("nbval-skip", "nbval-ignore-output")

Rule = Callable[["Chapter"], Iterator[str]]
RULES: list[Rule] = []


def rule(function: Rule) -> Rule:
    """Add to the rules that every chapter is held to."""
    RULES.append(function)
    return function


class Chapter:
    """A notebook, with what the rules count."""

    def __init__(self, notebook: NotebookNode, path: Path | None = None):
        self.notebook, self.path = notebook, path
        self.number = int(path.name[:2]) if path and path.name[:2].isdigit() else None
        self.code = [c for c in self.notebook.cells if c.cell_type == "code"]
        self.prose = [c for c in self.notebook.cells if c.cell_type == "markdown"]
        self.outputs = [(i, output) for i, cell in enumerate(self.code, 1) for output in cell.outputs]

    @classmethod
    def read(cls, path: Path) -> Chapter:
        """The notebook in a file."""
        return cls(nbformat.read(path, as_version=4), path)

    @property
    def is_map(self) -> bool:
        return self.number == 0

    @property
    def is_draft(self) -> bool:
        """Whether it says of itself that it is not whole: then what it holds is not counted yet."""
        return bool(self.notebook.metadata.get("helpers", {}).get("draft"))

    @cached_property
    def trees(self) -> list[ast.Module | None]:
        """The syntax tree of every code cell, magics aside; None where there is a syntax error."""
        return [_parsed(cell.source) for cell in self.code]

    def calls(self, name: str) -> list[ast.Call]:
        """Every call of `name(…)` or `….name(…)` in the code."""
        nodes = (node for tree in self.trees if tree for node in ast.walk(tree))
        return [n for n in nodes if isinstance(n, ast.Call) and _called(n) == name]

    @cached_property
    def claims(self) -> list[str | None]:
        """The id of every claim; None where it is not written out."""
        return [_literal(call.args[0]) if call.args else None for call in self.calls("claim")]

    @cached_property
    def explorers(self) -> list[str | None]:
        """The name of every explorer; None where it is not written out."""
        return [
            next((_literal(k.value) for k in call.keywords if k.arg == "name"), None)
            for call in self.calls("Explorer")
        ]

    @cached_property
    def exercises(self) -> list[str]:
        """The id of every exercise that a cell checks, in order, once each."""
        checked = (c.func.value for c in self.calls("check") if isinstance(c.func, ast.Attribute))
        ids = (_literal(v.slice) for v in checked if isinstance(v, ast.Subscript))
        return list(dict.fromkeys(filter(None, ids)))


def problems(path: Path) -> list[str]:
    """Everything about one notebook that breaks a rule, a line each."""
    chapter = Chapter.read(path)
    return [f"{path.name}: {sentence}" for check in RULES for sentence in check(chapter)]


def repeated(chapters: list[Chapter]) -> list[str]:
    """Names and ids that occur in more than one place of the collection."""
    found = []
    for kind in ("claims", "explorers", "exercises"):
        everywhere = [name for chapter in chapters for name in getattr(chapter, kind) if name]
        found += [f"{kind}: {name} occurs {everywhere.count(name)} times" for name in _repeats(everywhere)]
    return found


# --- how it is stored -----------------------------------------------------------------------------------


@rule
def every_cell_was_run_in_order(chapter):
    counts = [cell.execution_count for cell in chapter.code]
    if counts != list(range(1, len(counts) + 1)):
        yield f"code cells were not run once each, in order (counts {counts}): make refresh"


@rule
def no_error_is_stored(chapter):
    for i, output in chapter.outputs:
        if output.output_type == "error":
            yield f"code cell {i} stores an error: {output.ename}: {output.evalue}"


@rule
def metadata_is_normalised(chapter):
    metadata = chapter.notebook.metadata
    if metadata.get("kernelspec") != KERNEL:
        yield f"kernelspec must be {KERNEL}, is {metadata.get('kernelspec')}: make refresh"
    if metadata.get("language_info") != {"name": "python"}:
        yield "language_info must hold the name alone, no versions: make refresh"
    if "widgets" in metadata:
        yield "metadata.widgets holds the state of widgets: make refresh"
    for i, cell in enumerate(chapter.code, 1):
        if "execution" in cell.metadata:
            yield f"code cell {i} stores the time at which it ran: make refresh"


@rule
def no_cell_escapes_the_comparison(chapter):
    for i, cell in enumerate(chapter.code, 1):
        escapes = [tag for tag in cell.metadata.get("tags", []) if tag in ESCAPES]
        if escapes or "NBVAL_" in cell.source:
            yield f"code cell {i} is kept from nbval, which compares what cells print: {escapes or 'NBVAL_…'}"


@rule
def every_output_lives_without_a_kernel(chapter):
    for i, output in chapter.outputs:
        data = output.get("data", {})
        if WIDGET in data:
            yield f"code cell {i} stores the id of a widget that dies with its kernel: make refresh"
        elif set(data) == {"text/plain"} and WIDGET_TEXT.match(data["text/plain"]):
            yield f"code cell {i} shows a widget alone, lost without a kernel: {data['text/plain'][:40]}"


@rule
def the_file_is_small(chapter):
    if (size := chapter.path.stat().st_size) > LARGEST:
        yield f"{size:,} bytes are more than {LARGEST:,}"


@rule
def no_trace_of_a_machine(chapter):
    for cell in chapter.notebook.cells:
        for name, pattern in TRACES.items():
            if found := pattern.search(cell.source):
                yield f"a {cell.cell_type} cell holds {name}: {found[0]}"
    for i, output in chapter.outputs:
        for text in texts(output):
            for name, pattern in TRACES.items():
                if found := pattern.search(text):
                    yield f"the output of code cell {i} holds {name}: {found[0]}"


@rule
def no_cell_uses_the_network(chapter):
    for i, cell in enumerate(chapter.code, 1):
        if found := NETWORK.search(cell.source):
            yield f"code cell {i} looks as if it used the network: {found[0]}"


@rule
def every_picture_has_alt_text(chapter):
    for i, output in chapter.outputs:
        for kind in PICTURES:
            if kind in output.get("data", {}) and not output.metadata.get(kind, {}).get("alt", "").strip():
                yield f"code cell {i} shows a picture without alt text: use show(fig, alt)"
    for cell in chapter.prose:
        for found in MARKDOWN_PICTURE.finditer(cell.source):
            named = found[1] if found[1] is not None else re.search(r'\balt="([^"]+)"', found[0])
            if not named:
                yield f"a picture in the text has no alt text: {found.string[found.start() :][:40]}"


# --- how it reads ---------------------------------------------------------------------------------------


@rule
def cells_are_short(chapter):
    lengths = [_lines(cell.source) for cell in chapter.code]
    for i, length in enumerate(lengths, 1):
        if length > LONGEST:
            yield f"code cell {i} has {length} lines, more than {LONGEST}"
    if lengths and (middle := statistics.median(lengths)) > MEDIAN:
        yield f"the median code cell has {middle:g} lines, more than {MEDIAN}"
    long = sum(length > LONG for length in lengths)
    if long > 0.1 * len(lengths):
        yield f"{long} of {len(lengths)} code cells have more than {LONG} lines; one in ten may"


@rule
def lines_of_code_fit_a_window(chapter):
    for i, cell in enumerate(chapter.code, 1):
        for text in (cell.source, cell.metadata.get("helpers", {}).get("stub", "")):
            for line in text.split("\n"):
                if len(line) > WIDEST:
                    yield f"code cell {i} has a line of {len(line)} characters, more than {WIDEST}: {line.strip()[:40]}"


@rule
def prose_and_code_are_in_balance(chapter):
    if chapter.is_map or chapter.is_draft:
        return
    words, lines = (
        sum(_words(cell.source) for cell in chapter.prose),
        sum(_lines(cell.source) for cell in chapter.code),
    )
    if not lines or not WORDS[0] <= words / lines <= WORDS[1]:
        per = f"{words / lines:.1f}" if lines else "∞"
        yield f"{words} words for {lines} lines of code are {per} a line, not {WORDS[0]} to {WORDS[1]}"


@rule
def it_opens_with_one_set_up_cell(chapter):
    tagged = [i for i, cell in enumerate(chapter.code, 1) if "setup" in cell.metadata.get("tags", [])]
    if tagged != [1]:
        yield f"the first code cell, and no other, must be tagged 'setup'; tagged: {tagged or 'none'}"
    if chapter.notebook.cells and chapter.notebook.cells[0].cell_type != "markdown":
        yield "it must open with text, not with code"
    for i, tree in enumerate(chapter.trees, 1):
        if tree is None:
            yield f"code cell {i} is not Python"


# --- what it holds --------------------------------------------------------------------------------------


@rule
def there_are_enough_of_each(chapter):
    if chapter.is_draft:
        return
    for kind, least in (LEAST_ON_THE_MAP if chapter.is_map else LEAST).items():
        if (count := len(getattr(chapter, kind))) < least:
            yield f"{count} {kind}, at least {least} are asked for"


@rule
def names_belong_to_the_chapter(chapter):
    if chapter.number is None:
        yield "the file name must begin with the number of the chapter, two digits"
    for kind, names in (
        ("claim", chapter.claims),
        ("explorer", chapter.explorers),
        ("exercise", chapter.exercises),
    ):
        if None in names:
            yield f"the id of every {kind} must be written out, as a string"
        begins = "E" if kind == "exercise" else ""
        for name in filter(None, names):
            number = re.match(begins + r"(\d+)", name)
            if not number or int(number[1]) != chapter.number:
                yield f"{kind} {name} does not begin with {begins and 'E and '}the number of the chapter"
        for name in _repeats([n for n in names if n]):
            yield f"{kind} {name} occurs more than once"


@rule
def claims_and_exercises_are_counted_upwards(chapter):
    for kind in ("claims", "exercises"):
        numbers = [int(name.rpartition(".")[2]) for name in getattr(chapter, kind) if name and name[-1].isdigit()]
        for before, after in itertools.pairwise(numbers):
            if after <= before:
                yield f"{kind}: number {after} comes after {before}; they are counted as they appear"


@rule
def every_exercise_has_a_solution_and_a_check(chapter):
    waiting = None
    for i, cell in enumerate(chapter.code, 1):
        tags, checks = cell.metadata.get("tags", []), ".check(" in cell.source
        if "solution" in tags:
            if not cell.metadata.get("helpers", {}).get("stub", "").strip():
                yield f"code cell {i} is a solution without metadata helpers.stub, what a student starts from"
            elif _parsed(cell.metadata["helpers"]["stub"]) is None:
                yield f"code cell {i}: the stub is not Python"
            if waiting:
                yield f"code cell {waiting} is a solution that no cell checks before the next"
            waiting = i
        if checks and "check" not in tags:
            yield f"code cell {i} checks an exercise and is not tagged 'check'"
        if "check" in tags and not checks:
            yield f"code cell {i} is tagged 'check' and checks nothing"
        if checks and "solution" not in tags:
            if waiting is None:
                yield f"code cell {i} checks an exercise without a solution before it"
            waiting = None
    if waiting:
        yield f"code cell {waiting} is a solution that no cell checks"


# --- small parts ----------------------------------------------------------------------------------------


def _parsed(source: str) -> ast.Module | None:
    plain = "\n".join("pass" if re.match(r"[%!]", line) else line for line in source.split("\n"))
    try:
        return ast.parse(plain)
    except SyntaxError:
        return None


def _called(call: ast.Call) -> str | None:
    return getattr(call.func, "id", getattr(call.func, "attr", None))


def _literal(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _repeats(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def _lines(source: str) -> int:
    return sum(bool(line.strip()) for line in source.split("\n"))


def _words(markdown: str) -> int:
    """Words of prose: a formula in a sentence is one; displayed formulas, code and markup are none."""
    text = re.sub(r"```.*?```|\$\$.*?\$\$|<[^>]*>", " ", markdown, flags=re.S)
    text = re.sub(r"\$[^$]+\$", " formula ", text)
    text = re.sub(r"\]\([^)]*\)", "] ", text)
    return sum(any(c.isalnum() for c in token) for token in text.split())
