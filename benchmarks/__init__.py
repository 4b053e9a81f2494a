"""Measurements of dynet beside other frameworks, each a program that prints a table.

``python -m benchmarks.irnn`` trains a recurrent network over long sequences;
``python -m benchmarks.overhead`` asks what the tape itself costs. Both are run from the
repository's root. The frameworks to compare with come with ``pip install -e '.[bench]'``; one
that is missing is left out, and named.
"""
