"""The tools behind run.py. All but `refresh`, which runs inside .venv, need the standard library alone."""
