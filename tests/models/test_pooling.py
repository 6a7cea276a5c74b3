"""Means over the cells of a map, made by products as where torch has no such pooling."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from lrcn.models.pooling import _means_by_products, cell_means


@pytest.mark.parametrize(("height", "width", "grid"), [(14, 14, 3), (7, 7, 3), (7, 5, 2), (4, 6, 4), (6, 6, 3)])
def test_products_give_the_means_and_gradients_of_torchs_pooling(height: int, width: int, grid: int) -> None:
    maps = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0), requires_grad=True)
    expected, found = F.adaptive_avg_pool2d(maps, grid), _means_by_products(maps, grid)
    torch.testing.assert_close(found, expected)
    (of_expected,) = torch.autograd.grad(expected.square().sum(), maps)
    (of_found,) = torch.autograd.grad(found.square().sum(), maps)
    torch.testing.assert_close(of_found, of_expected)
    assert torch.equal(cell_means(maps, grid), expected)  # on this device, by torch itself
