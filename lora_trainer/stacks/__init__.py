"""The sets of packages that work together, as pip's lists, and what makes an environment of one.

Nothing here may need a package, or a syntax newer than Python 3.8's: it runs before anything is installed, in whatever
Python the reader has, to look for a fitting one.
"""
