"""What orchat costs, measured: run from the repository's root, when the machine is quiet.

* ``python -m tests.benchmarks.stream``: CPU per streamed chunk, against a raw socket loop, the openai SDK and Haystack.
* ``python -m tests.benchmarks.startup``: CPU of ``import orchat``, of a first request, of ``%load_ext orchat``.

Both print a table and a verdict; with ``--check`` a missed gate makes the exit code 1. Times are CPU times, and what
counts is their ratio within one run: a figure from another machine or another moment says little. pytest runs them in
miniature (`tests/test_benchmarks.py`), to see that they work; it asserts no times.
"""
