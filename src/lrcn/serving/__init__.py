"""Models behind HTTP: a server that takes uploads and streams, and for each model a process that answers.

The server (`server.py`, `app.py`, `routes.py`, `sessions.py`) imports no torch. What it accepts goes through
`model_worker.py`, which keeps one process of `worker.py` running for each model and gives it jobs (`jobs.py`).
"""
