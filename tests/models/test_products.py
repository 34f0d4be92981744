"""Which library makes products: on any processor they stay exact, and the setting goes back."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
import torch

from napari_samri.models import device
from napari_samri.models.device import fast_products


def setting() -> str:
    return torch.backends.mkldnn.matmul.fp32_precision


@pytest.fixture
def on_amd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_processor", lambda: "vendor_id : AuthenticAMD")
    device._worth_it.cache_clear()
    yield
    device._worth_it.cache_clear()


@pytest.mark.parametrize("shape", [(300, 200, 100), (8, 64, 4096), (4096, 256, 64)])
def test_products_are_those_of_fp32(on_amd: None, shape: tuple[int, int, int]) -> None:
    rows, inner, columns = shape
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(rows, inner, generator=generator)
    right = torch.randn(inner, columns, generator=generator)
    with fast_products():
        found = left @ right
    exact = left.double() @ right.double()
    assert (found - exact).norm() < 1e-5 * exact.norm()


def test_somebodys_own_setting_comes_back(on_amd: None) -> None:
    matmul = torch.backends.mkldnn.matmul
    before = matmul.fp32_precision
    matmul.fp32_precision = "ieee"
    try:
        with fast_products(), fast_products():
            pass
        assert setting() == "ieee"
    finally:
        matmul.fp32_precision = before


def test_the_setting_goes_back_once_the_last_has_left(on_amd: None) -> None:
    if not device._worth_it():
        pytest.skip("this processor rounds to bfloat16, or has no oneDNN")
    before = setting()
    inside, leave = Barrier(2), Barrier(2)

    def other() -> None:
        with fast_products():
            inside.wait(10)
            leave.wait(10)

    thread = Thread(target=other)
    thread.start()
    inside.wait(10)
    with fast_products():
        assert setting() == "bf16"
    assert setting() == "bf16"
    leave.wait(10)
    thread.join()
    assert setting() == before
    with pytest.raises(ValueError, match="stop"), fast_products():
        raise ValueError("stop")
    assert setting() == before


def test_other_processors_and_those_that_round_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, on_amd: None
) -> None:
    before = setting()
    monkeypatch.setattr(device, "_MOST_ERROR", 0.0)  # as if it rounded
    with fast_products():
        assert setting() == before
    monkeypatch.undo()
    monkeypatch.setattr(device, "_processor", lambda: "vendor_id : GenuineIntel")
    device._worth_it.cache_clear()
    with fast_products():
        assert setting() == before
