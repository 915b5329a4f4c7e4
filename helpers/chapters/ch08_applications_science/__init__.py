"""Chapter 08, applications: science."""
