"""The work on a set before anything is learnt from it: import, crops and other derived images, drawn images."""
