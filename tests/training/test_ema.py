"""The average of the weights, against its formula."""

from __future__ import annotations

import torch

from lora_trainer.training.ema import Average


def test_it_follows_the_formula_with_its_warm_up() -> None:
    layer = torch.nn.Linear(3, 2)
    average = Average(list(layer.parameters()), decay=0.9)
    decays = [min(0.9, (1 + n) / (10 + n)) for n in range(1, 31)]
    expected = [p.detach().clone() for p in layer.parameters()]
    for decay in decays:
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter += torch.randn_like(parameter)
        average.update()
        expected = [
            decay * mean + (1 - decay) * p.detach() for mean, p in zip(expected, layer.parameters(), strict=True)
        ]
    for shadow, mean in zip(average.shadows, expected, strict=True):
        torch.testing.assert_close(shadow, mean)


def test_it_stands_in_for_the_weights_and_goes_again() -> None:
    layer = torch.nn.Linear(3, 2)
    average = Average(list(layer.parameters()), decay=0.5)
    before = layer.weight.detach().clone()
    with torch.no_grad():
        layer.weight += 1
    with average.applied():
        assert torch.equal(layer.weight, before)
    assert torch.equal(layer.weight, before + 1)


def test_without_a_decay_there_is_none() -> None:
    layer = torch.nn.Linear(3, 2)
    average = Average(list(layer.parameters()), decay=0.0)
    average.update()
    with average.applied():
        assert not average.shadows
