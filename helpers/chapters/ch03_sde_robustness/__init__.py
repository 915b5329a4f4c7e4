"""Chapter 03, stochastic equations: noise along the depth, and robustness."""
