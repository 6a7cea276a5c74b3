"""The simulated queue against what queueing theory says of it."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.fleet import (
    MEAN_FILE_S,
    file_lengths_s,
    mean_wait_of_one,
    mean_wait_of_random_services,
    poisson_arrivals,
    waits,
)

NUMBER = 200_000


@pytest.mark.parametrize(("num_workers", "load"), [(1, 0.5), (1, 0.8), (4, 0.8), (20, 0.9)])
def test_random_services_wait_as_erlang_says(num_workers: int, load: float) -> None:
    rng = np.random.default_rng(num_workers)
    services_s = rng.exponential(3.0, NUMBER)
    found = waits(poisson_arrivals(load, services_s, num_workers, rng), services_s, num_workers)
    assert found.mean() == pytest.approx(mean_wait_of_random_services(load, 3.0, num_workers), rel=0.06)


def test_equal_services_wait_half_as_long_as_random_ones() -> None:
    rng = np.random.default_rng(0)
    services_s = np.full(NUMBER, 2.0)
    found = waits(poisson_arrivals(0.7, services_s, 1, rng), services_s, 1).mean()
    assert found == pytest.approx(0.7 * 2.0 / (2 * (1 - 0.7)), rel=0.04)  # M/D/1
    assert found == pytest.approx(mean_wait_of_one(0.7, services_s), rel=0.04)
    assert mean_wait_of_one(0.7, services_s) == pytest.approx(mean_wait_of_random_services(0.7, 2.0, 1) / 2)


def test_files_of_many_lengths_wait_as_pollaczek_and_khinchine_say() -> None:
    rng = np.random.default_rng(1)
    services_s = file_lengths_s(NUMBER, rng) / 10
    assert services_s.mean() == pytest.approx(MEAN_FILE_S / 10, rel=0.02)
    found = waits(poisson_arrivals(0.6, services_s, 1, rng), services_s, 1).mean()
    assert found == pytest.approx(mean_wait_of_one(0.6, services_s), rel=0.06)


def test_files_are_taken_in_order_by_the_worker_that_is_free_first() -> None:
    arrivals_s, services_s = np.array([0.0, 0.0, 1.0, 1.0, 20.0]), np.array([5.0, 2.0, 4.0, 1.0, 1.0])
    assert waits(arrivals_s, services_s, 2).tolist() == [0.0, 0.0, 1.0, 4.0, 0.0]


def test_a_heap_of_files_takes_no_less_than_its_share_and_no_more_than_one_file_beyond() -> None:
    services_s = file_lengths_s(5000, np.random.default_rng(2))
    end_s = (waits(np.zeros(5000), services_s, 50) + services_s).max()
    share_s = services_s.sum() / 50
    assert share_s <= end_s <= share_s + services_s.max()
