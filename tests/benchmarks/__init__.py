"""Measured figures: how fast, how accurate, how robust. `make bench` prints them."""
