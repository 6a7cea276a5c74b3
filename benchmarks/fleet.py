"""A queue of files before many workers: how long files wait, and when a heap of them is done.

`python -m benchmarks.fleet CPU_S` simulates workers that take files in order, each of which takes so many seconds of a
worker an hour of video: what was measured for a runtime. `docs/scale.md` reckons with what it prints.
"""

from __future__ import annotations

import argparse
import heapq
from math import factorial

import numpy as np
from numpy.typing import NDArray

MEAN_FILE_S, SPREAD = 600.0, 1.0
"""Files of ten minutes in the mean, their lengths lognormal: some last an hour."""


def waits(arrivals_s: NDArray[np.float64], services_s: NDArray[np.float64], num_workers: int) -> NDArray[np.float64]:
    """Return how long each file waits, `(N,)`: it is taken by the worker that is free first, in the order of arrival.

    Args:
        arrivals_s: When each file comes, in order, `(N,)`.
        services_s: How long a worker is busy with it, `(N,)`.
        num_workers: How many work side by side.
    """
    free_s = [0.0] * num_workers
    found = np.empty(len(arrivals_s))
    for number, (arrival_s, service_s) in enumerate(zip(arrivals_s.tolist(), services_s.tolist(), strict=True)):
        start_s = max(arrival_s, free_s[0])
        heapq.heapreplace(free_s, start_s + service_s)
        found[number] = start_s - arrival_s
    return found


def mean_wait_of_random_services(load: float, mean_s: float, num_workers: int) -> float:
    """Return the mean wait where arrivals and services are exponential (Erlang's C, M/M/c).

    Args:
        load: Share of the workers' time that is asked for, below 1.
        mean_s: Of the services.
        num_workers: How many work side by side.
    """
    offered = load * num_workers
    all_busy = offered**num_workers / factorial(num_workers) / (1 - load)
    some_free = sum(offered**busy / factorial(busy) for busy in range(num_workers))
    return all_busy / (all_busy + some_free) * mean_s / (num_workers * (1 - load))


def mean_wait_of_one(load: float, services_s: NDArray[np.float64]) -> float:
    """Return the mean wait before one worker, whatever the services are (Pollaczek and Khinchine, M/G/1)."""
    return float(load * (services_s**2).mean() / services_s.mean() / (2 * (1 - load)))


def poisson_arrivals(
    load: float, services_s: NDArray[np.float64], num_workers: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return times of arrival `(N,)`, at random, at which the workers are busy for this share of their time."""
    return rng.exponential(float(services_s.mean()) / (load * num_workers), len(services_s)).cumsum()


def file_lengths_s(number: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return lengths of files, `(N,)`, of `MEAN_FILE_S` in the mean."""
    return rng.lognormal(np.log(MEAN_FILE_S) - SPREAD**2 / 2, SPREAD, number)


def show_queue(worker_s: float) -> None:
    """Print how long files wait, and when a heap of them is done, where an hour of video takes `worker_s` seconds."""
    rng = np.random.default_rng(0)
    services_s = file_lengths_s(200_000, rng) * worker_s / 3600
    print(
        f"a file takes {services_s.mean():.0f} s in the mean, 99 of 100 less than {np.percentile(services_s, 99):.0f} s"
    )
    print("workers  load  mean wait  99 of 100 wait less than")
    for num_workers in (1, 10, 100):
        for load in (0.5, 0.8, 0.9, 0.95):
            found = waits(poisson_arrivals(load, services_s, num_workers, rng), services_s, num_workers)
            print(f"{num_workers:7} {load:5.0%} {found.mean():8.1f} s {np.percentile(found, 99):8.0f} s")
    print("workers  a heap of files, done after, by the sum of all work")
    for num_workers in (100, 1000, 10_000):
        ends_s = waits(np.zeros(len(services_s)), services_s, num_workers) + services_s
        print(f"{num_workers:7} {len(services_s):8} {ends_s.max() / (services_s.sum() / num_workers):.2f}")


def main() -> None:
    """Simulate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cpu_s", type=float, metavar="CPU_S", help="seconds of a worker an hour of video takes")
    show_queue(parser.parse_args().cpu_s)


if __name__ == "__main__":
    main()
