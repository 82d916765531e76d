"""What the studio promises about speed, measured: `python -m tests.benchmarks`, or with names of single subjects.

Two things are compared in one run, A B A B, as a ratio; plain durations stand only where a limit in seconds is given.
"""
