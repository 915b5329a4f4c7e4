"""Chapter 07, applications: generation."""
