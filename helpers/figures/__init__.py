"""The pictures, one module a chapter.

A picture without controls is a function of its data that returns a figure. One with controls is a function
`build(fig)` that makes the artists once and returns `update(**parameters)`, which moves them: what is seen depends on
the parameters alone. `style` holds the one look.
"""
