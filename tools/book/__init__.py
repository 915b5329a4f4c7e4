"""The book: the chapters, executed once, and the pages around them, as a static site that asks no other host.

`execution` runs a chapter, `chapter` makes a page of it, `evidence` and `status` write the pages that come from what
was run, `assemble` lays everything out for Sphinx, and `site` looks at what Sphinx has built.
"""
