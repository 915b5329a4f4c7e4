"""Chapter 02, stability."""
