"""The decks: of every chapter the cells that are marked for a lecture, from the book's one execution.

`selection` chooses the cells and what of them is shown, `rendering` makes HTML of it, and `__main__` lays the decks out
with reveal.js, the explorers' script and MathJax beside them.
"""
