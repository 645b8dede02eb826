"""Captions as they are edited: many at once, with a preview before, undo after, also across restarts."""
