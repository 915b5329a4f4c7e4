"""Chapter 01, residual networks as Euler's method."""
