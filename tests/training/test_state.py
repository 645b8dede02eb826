"""A state comes back as it was, whatever an optimizer keeps in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lora_trainer.errors import BadSettings
from lora_trainer.training.state import read_state, write_state


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def test_a_tree_of_everything_comes_back(tmp_path: Path) -> None:
    shared = torch.arange(6.0)
    state = {
        "tensors": {0: shared, 1: shared[2:4], "half": torch.ones(2, dtype=torch.bfloat16), "empty": torch.zeros(0, 3)},
        "numbers": [1, -2.5, 1e-300, True, None],
        "texts": ("tensor:0", "dict", ""),
        "scalar": torch.tensor(3),
    }
    write_state(tmp_path / "state.safetensors", state)
    assert same(read_state(tmp_path / "state.safetensors"), state)


@pytest.mark.parametrize("kind", ["AdamW", "SGD", "Adagrad", "RAdam"])
def test_an_optimizer_goes_on_to_the_bit(tmp_path: Path, kind: str) -> None:
    def fresh() -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
        torch.manual_seed(0)
        layer = torch.nn.Linear(4, 4)
        options = {"momentum": 0.9} if kind == "SGD" else {}
        return layer, getattr(torch.optim, kind)(layer.parameters(), lr=0.01, **options)

    def step(layer: torch.nn.Linear, optimizer: torch.optim.Optimizer, number: int) -> None:
        generator = torch.Generator().manual_seed(number)
        layer(torch.randn(8, 4, generator=generator)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    layer, optimizer = fresh()
    for number in range(6):
        if number == 3:
            write_state(tmp_path / "s", {"weights": layer.state_dict(), "optimizer": optimizer.state_dict()})
        step(layer, optimizer, number)
    again, its_optimizer = fresh()
    kept = read_state(tmp_path / "s")
    again.load_state_dict(kept["weights"])
    its_optimizer.load_state_dict(kept["optimizer"])
    for number in range(3, 6):
        step(again, its_optimizer, number)
    assert torch.equal(again.weight, layer.weight) and torch.equal(again.bias, layer.bias)


@pytest.mark.parametrize("content", [b"", b"no state", b"\x80\x04K\x01."], ids=["empty", "text", "pickle"])
def test_what_is_no_state_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.safetensors").write_bytes(content)
    with pytest.raises(BadSettings) as caught:
        read_state(tmp_path / "state.safetensors")
    assert caught.value.key == "state_unreadable"


def test_an_object_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_state(tmp_path / "s", {"loss": object()})
    assert not (tmp_path / "s").exists()
