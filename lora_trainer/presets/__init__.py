"""Presets: what to change for a goal, a family of models and the memory that is free, each value with its reason."""
