"""Devices: the best there is, or the one asked for, or a fallback that is said."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from napari_samri.errors import InputError, InputWarning
from napari_samri.models import device
from napari_samri.models.device import bound_threads, resolve_device


def pretend(monkeypatch: pytest.MonkeyPatch, *, cuda: int = 0, mps: bool = False) -> None:
    """Let torch report a number of CUDA devices and an Apple GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(0, False, "cpu"), (1, False, "cuda"), (0, True, "mps"), (2, True, "cuda")],
)
def test_auto_takes_the_best(
    monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool, expected: str
) -> None:
    pretend(monkeypatch, cuda=cuda, mps=mps)
    assert resolve_device() == resolve_device("auto") == torch.device(expected)


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:0", "cuda:1", "mps"])
def test_a_device_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pretend(monkeypatch, cuda=2, mps=True)
    assert resolve_device(name) == torch.device(name)


@pytest.mark.parametrize(
    ("name", "cuda", "mps", "expected"),
    [
        ("cuda", 0, False, "cpu"),
        ("cuda", 0, True, "mps"),
        ("cuda:1", 1, False, "cuda"),
        ("mps", 0, False, "cpu"),
        ("mps", 1, False, "cuda"),
        ("meta", 0, False, "cpu"),
    ],
)
def test_a_device_that_is_not_there_is_replaced_and_said(
    monkeypatch: pytest.MonkeyPatch, name: str, cuda: int, mps: bool, expected: str
) -> None:
    pretend(monkeypatch, cuda=cuda, mps=mps)
    with pytest.warns(InputWarning, match=f"'{name}' is not available.*'{expected}'"):
        assert resolve_device(name) == torch.device(expected)


def test_the_fallback_works_on_this_machine() -> None:
    """With torch's own answers: the device that comes back takes a tensor."""
    last = max(torch.cuda.device_count(), 1) + 7
    with pytest.warns(InputWarning, match=f"cuda:{last}"):
        device = resolve_device(f"cuda:{last}")
    assert torch.ones(2, device=device).sum().item() == 2


@pytest.mark.parametrize("name", ["", "gpu", "CUDA", "cuda:x", "cuda:-1", "tpu 1"])
def test_a_name_that_means_nothing_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="expected auto, cuda") as caught:
        resolve_device(name)
    assert f"'{name}'" in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "cores", "most", "expected"),
    [
        (64, 2, None, 2),
        (1, 2, None, 1),
        (8, 16, None, 8),
        (8, 16, 4, 4),
        (8, 2, 4, 2),
        (3, 16, 4, 3),
    ],
)
def test_threads_are_no_more_than_cores(
    asked: int, cores: int, most: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def threads() -> int:
        torch.set_num_threads(asked)
        bound_threads(most)
        return torch.get_num_threads()

    monkeypatch.setattr(device, "_cores", lambda: cores)
    before = torch.get_num_threads()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(threads).result() == expected
    assert torch.get_num_threads() == before, "threads of another thread were changed"
