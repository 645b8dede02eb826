"""Small drawn worlds with a known truth, to train on and to measure against."""
