"""Checkpoints: what family they are, how their weights are borrowed, how they see text and images."""
