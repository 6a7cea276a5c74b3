"""Which clips come in which batch: all of them, evenly, whoever resumes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lrcn.data.batches import StepSampler


@given(
    num_videos=st.integers(1, 60),
    batch_size=st.integers(1, 20),
    accumulate=st.integers(1, 3),
    num_ranks=st.integers(1, 3),
    seed=st.integers(0, 5),
)
def test_an_epoch_shows_every_video_once_in_even_batches(
    num_videos: int, batch_size: int, accumulate: int, num_ranks: int, seed: int
) -> None:
    seen: list[int] = []
    lengths = set()
    for rank in range(num_ranks):
        sampler = StepSampler(num_videos, batch_size, seed=seed, accumulate=accumulate, rank=rank, num_ranks=num_ranks)
        batches = [sampler.batch(number) for number in range(sampler.batches_per_epoch)]
        assert list(sampler) == batches
        lengths.add(sampler.batches_per_epoch)
        sizes = [len(batch) for batch in batches]
        assert 1 <= min(sizes) <= max(sizes) <= min(batch_size, min(sizes) + 1)
        seen += [key.video for batch in batches for key in batch]
    assert len(lengths) == 1  # or one process would wait for the others
    assert lengths.pop() % accumulate == 0
    assert set(seen) == set(range(num_videos))
    # more only to give all processes as many, or to leave no batch empty
    assert len(seen) == num_videos or len(seen) - num_videos < num_ranks or max(sizes) == 1


def test_run_goes_on_where_it_stopped() -> None:
    def make(first: int) -> StepSampler:
        sampler = StepSampler(10, 4, seed=3)
        sampler.first_batch, sampler.num_batches = first, 9
        return sampler

    whole = list(make(0))
    assert len(whole) == len(make(0)) == 9
    for first in range(10):
        assert list(make(first)) == whole[first:]


def test_order_differs_between_epochs_and_seeds() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return [key.video for key in StepSampler(50, 50, seed=seed).batch(epoch)]

    orders = [order(seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert all(a != b for i, a in enumerate(orders) for b in orders[:i])


def test_few_videos_still_fill_all_accumulated_batches() -> None:
    sampler = StepSampler(3, 1, seed=0, accumulate=4)
    assert [len(batch) for batch in sampler] == [1, 1, 1, 1]
