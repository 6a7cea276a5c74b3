"""Very many sources on many processes or machines, into Parquet; what is done is never done again.

The core turns places into rows (`reading.py`) and rows into a folder (`results.py`); Ray only carries both
(`ray_pool.py`). Needs the extra `batch`.
"""
