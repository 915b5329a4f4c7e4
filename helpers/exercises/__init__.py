"""The exercises, one module a chapter: hints, checks that name the likely mistake, and solutions."""
