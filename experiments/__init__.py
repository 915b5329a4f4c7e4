"""The scripts behind the stored tables, one a table, and their results beside them.

`python -m experiments` measures all of them again, `python -m experiments robustness` one; with `--stale` only those
whose code has changed. A table is a JSON file that holds the rows, every setting, the versions of the libraries and a
hash of the code that it was made with (`experiments.record`).
"""
