"""Each figure as a ratio against the plain way, both timed in the same run.

`python -m benchmarks` prints one table and writes `benchmarks/results.json`; `python -m benchmarks windows` runs one.
"""
