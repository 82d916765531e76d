"""The number of a layer: counted through all stacks of a component, so that a range of layers means something."""

from __future__ import annotations

from torch import nn

from core.models.labels.layers import Layers
from tests.models.made_up import Attention, Layer


class Stage(nn.Module):
    def __init__(self, depth: int):
        super().__init__()
        self.blocks = nn.ModuleList(Layer(8) for _ in range(depth))
        self.shrink = nn.Linear(8, 8)


class Expert(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.Linear(8, 8)


class Sparse(nn.Module):
    def __init__(self):
        super().__init__()
        self.mixing = Attention(8)
        self.experts = nn.ModuleList(Expert() for _ in range(3))


class Halves(nn.Module):
    """A block like T5's, whose halves stand in a list."""

    def __init__(self):
        super().__init__()
        self.layer = nn.ModuleList([Attention(8), Expert()])


def numbers(model: nn.Module, component: str = "language", **others: str) -> Layers:
    modules = dict(model.named_modules())
    return Layers(modules, {name: others.get(name.partition(".")[0], component) for name in modules})


def test_one_stack_counts_by_its_index():
    layers = numbers(nn.ModuleDict({"layers": nn.ModuleList([Layer(8), Layer(8)]), "norm": nn.LayerNorm(8)}))
    assert [layers.of(name) for name in ("layers.0.mixing.q", "layers.1.mlp.0", "norm", "layers")] == [0, 1, None, None]


def test_a_second_stack_of_a_component_goes_on_and_another_component_begins_anew():
    stacks = {name: nn.ModuleList([Layer(8), Layer(8)]) for name in ("encoder", "decoder", "eye")}
    layers = numbers(nn.ModuleDict(stacks), eye="vision")
    assert layers.of("encoder.1.mlp.0") == 1
    assert layers.of("decoder.0.mlp.0") == 2
    assert layers.of("eye.1.mlp.0") == 1


def test_blocks_in_stages_are_the_layers():
    layers = numbers(nn.ModuleDict({"stages": nn.ModuleList([Stage(2), Stage(3)])}), "vision")
    assert [layers.of(f"stages.{s}.blocks.{b}.mlp.0") for s, b in ((0, 0), (0, 1), (1, 0), (1, 2))] == [0, 1, 2, 4]
    assert layers.of("stages.0.shrink") == 1
    assert layers.of("stages.1.shrink") == 4


def test_experts_halves_and_sequentials_are_no_layers():
    layers = numbers(nn.ModuleDict({"layers": nn.ModuleList([Sparse(), Sparse()])}))
    assert layers.of("layers.1.experts.2.up") == 1
    layers = numbers(nn.ModuleDict({"block": nn.ModuleList([Halves(), Halves()])}))
    assert layers.of("block.1.layer.0.q") == layers.of("block.1.layer.1.up") == 1
    assert numbers(nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))).of("1") is None


def test_a_list_that_does_not_attend_counts_only_where_nothing_does():
    beside = nn.ModuleDict({"layers": nn.ModuleList([Layer(8)]), "extra": nn.ModuleList([Expert(), Expert()])})
    assert numbers(beside).of("extra.1.up") is None
    assert numbers(beside, extra="projector").of("extra.1.up") == 1
