"""Maze algorithms, compiled, one file each; `carving` calls them by number.

A maze with odd numbers of rows H and columns W has cells at odd coordinates. The squares between two cells are walls
that an algorithm opens; all other squares stay walls. Squares are numbered row by row, ``row * W + column``.
"""
