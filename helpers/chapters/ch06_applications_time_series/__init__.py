"""Chapter 06, applications: irregular time series."""
