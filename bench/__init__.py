"""Side-by-side measurements against named peers: `python -m bench`, or `make bench`."""
