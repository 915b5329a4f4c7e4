"""Chapter 05, state-space layers."""
