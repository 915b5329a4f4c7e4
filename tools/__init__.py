"""The tools behind run.py.

All but `bibliography`, `refresh` and `student`, which run inside .venv, need the standard library alone.
"""
