"""Picking: the numbered files, the grid of epochs and weights, the sheet, the choice with its reasons, the report."""
