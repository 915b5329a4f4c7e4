"""Chapter 04, partial differential equations: convolutional networks as heat and as waves."""
