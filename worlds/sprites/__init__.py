"""Sprites: scenes of 16 x 16 flat cells, drawn from tags and read back by an oracle."""
