"""The forms in which models take pictures, each made for a model from its config: shapes only, no pixel.

There are few of them, and a model's forward says by the names of its arguments which it may be; the right one is the
first that the model accepts (see `inputs`).
What it does not do: cut or resize a picture as a certain processor would; where only a processor knows, the usual way
is taken and said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from core.memory.dry_run.facts import PictureFacts

MAX_TILES = 16
"""Tiles of one picture beside its overview."""
MOST_CROPS = 8
"""The same of crops that overlap."""


@dataclass(frozen=True)
class Layout:
    """One form of the pictures of a batch."""

    name: str
    """Its shape in words."""
    inputs: dict[str, Any]
    """Arguments of the model."""
    guesses: tuple[str, ...] = field(default=())
    """What only a processor would know, and how it was assumed to be."""


@dataclass(frozen=True)
class Pictures:
    """How many pictures of which size."""

    rows: int
    each: int
    """Pictures of a row."""
    size: tuple[int, int]
    """Height and width in pixels."""

    @property
    def count(self) -> int:
        """Pictures of the batch."""
        return self.rows * self.each


Maker = Callable[[PictureFacts, Pictures, Collection[str]], Iterator[Layout]]


def layouts(facts: PictureFacts, pictures: Pictures, names: Collection[str]) -> Iterator[Layout]:
    """Every form that the arguments' names allow, the likeliest first.

    Args:
        facts: of the model's config.
        pictures: of the batch.
        names: of the arguments of the model's forward.
    """
    for needed, make in _BY_ARGUMENT:
        if needed in names:
            yield from make(facts, pictures, names)
    if "pixel_values" in names:
        yield from _plain(facts, pictures, names)


def _side(pixels: int, step: int) -> int:
    """Pixels rounded to a multiple of the step, at least one step."""
    return max(1, round(pixels / step)) * step


def _any_size(facts: PictureFacts, pictures: Pictures) -> tuple[int, int]:
    """The size that a picture of any size is resized to: whole groups of patches."""
    step = facts.patch * facts.merge
    return _side(pictures.size[0], step), _side(pictures.size[1], step)


def _grid(facts: PictureFacts, pictures: Pictures, names: Collection[str]) -> Iterator[Layout]:
    """Patches of all pictures one after the other, [patches, values], and each picture's rows and columns of them."""
    height, width = (side // facts.patch for side in _any_size(facts, pictures))
    pixels = facts.channels * facts.patch**2
    grid = torch.tensor([[1, height, width]] * pictures.count)
    extra = {"image_merge_sizes": torch.full((pictures.count,), facts.merge)} if "image_merge_sizes" in names else {}
    total = pictures.count * height * width
    shapes: list[tuple[int, ...]] = [(total, pixels * facts.temporal)]
    if facts.temporal > 1:
        shapes.append((total, pixels))
    shapes.append((total, facts.channels, facts.patch, facts.patch))
    for shape in shapes:
        yield Layout("patches with a grid", {"pixel_values": torch.ones(shape), "image_grid_thw": grid, **extra})
    if facts.merge > 1:  # what becomes one token in one piece, colours last; the grid counts these
        side, tokens = facts.patch * facts.merge, grid // torch.tensor([1, facts.merge, facts.merge])
        values = torch.ones(total // facts.merge**2, side, side, facts.channels)
        yield Layout("squares with a grid", {"pixel_values": values, "image_grid_thw": tokens})


def _flat_grid(facts: PictureFacts, pictures: Pictures, names: Collection[str]) -> Iterator[Layout]:
    height, width = (side // facts.patch for side in _any_size(facts, pictures))
    total, grid = pictures.count * height * width, torch.tensor([[height, width]] * pictures.count)
    shape = (total, facts.channels * facts.patch**2)
    yield Layout("patches with a grid", {"pixel_values": torch.ones(shape), "image_grid_hw": grid})
    shape4 = (pictures.count, facts.channels, height * facts.patch, width * facts.patch)
    yield Layout("pictures with a grid", {"pixel_values": torch.ones(shape4), "image_grid_hw": grid})


def _spatial_shapes(facts: PictureFacts, pictures: Pictures, names: Collection[str]) -> Iterator[Layout]:
    """Patches of each picture, [pictures, patches, values], with a mask."""
    step = facts.number("downsample_factor", otherwise=2) * facts.patch
    height, width = (_side(side, step) // facts.patch for side in pictures.size)
    values = torch.ones(pictures.count, height * width, facts.channels * facts.patch**2)
    mask = torch.ones(pictures.count, height * width, dtype=torch.long)
    shapes = torch.tensor([[height, width]] * pictures.count)
    yield Layout(
        "patches with a mask", {"pixel_values": values, "pixel_attention_mask": mask, "spatial_shapes": shapes}
    )


def _positions(facts: PictureFacts, pictures: Pictures, names: Collection[str]) -> Iterator[Layout]:
    """Patches of each picture with the place of each, [pictures, patches, 2].

    A picture of any size is made as large as it may be, small ones too (`get_aspect_ratio_preserving_size` of Gemma 4).
    """
    pool = facts.number("pooling_kernel_size", "spatial_merge_size", otherwise=3)
    most = facts.number("default_output_length", "mm_tokens_per_image", "num_soft_tokens", otherwise=280) * pool**2
    share = math.sqrt(most / math.prod(pictures.size))
    height, width = (max(1, int(side * share) // pool) * pool for side in pictures.size)
    merged = facts.number("model_patch_size", otherwise=0)
    if merged:  # what becomes one token is handed over in one piece
        height, width, patch = height // pool, width // pool, merged
    else:
        patch = facts.patch
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack((columns, rows), dim=-1).reshape(1, -1, 2).repeat(pictures.count, 1, 1)
    values = torch.ones(pictures.count, height * width, facts.channels * patch**2)
    yield Layout("patches with places", {"pixel_values": values, "image_position_ids": places})


def _aspect(facts: PictureFacts, pictures: Pictures, names: Collection[str]) -> Iterator[Layout]:
    """Tiles of each picture, [rows, pictures, tiles, C, H, W], filled up to the most that there can be."""
    height, width = facts.fixed_size or _any_size(facts, pictures)
    tiles = facts.number("max_num_tiles")
    shape = (pictures.rows, pictures.each, tiles, facts.channels, height, width)
    yield Layout(
        "tiles with aspect ratios",
        {
            "pixel_values": torch.ones(shape),
            "aspect_ratio_ids": torch.ones(shape[:2], dtype=torch.long),
            "aspect_ratio_mask": torch.ones(shape[:3], dtype=torch.long),
        },
    )


def _masked_tiles(facts: PictureFacts, pictures: Pictures, names: Collection[str]) -> Iterator[Layout]:
    """Tiles of each row, [rows, tiles, C, H, W], with a mask of pixels."""
    height, width = facts.fixed_size or _any_size(facts, pictures)
    tiles, guess = _tiles(pictures, (height, width))
    shape = (pictures.rows, pictures.each * tiles, facts.channels, height, width)
    values, mask = torch.ones(shape), torch.ones(*shape[:2], height, width, dtype=torch.bool)
    yield Layout("tiles with a mask", {"pixel_values": values, "pixel_attention_mask": mask}, guess)
    yield Layout("tiles", {"pixel_values": values}, guess)
    whole = torch.ones(shape[:2], dtype=torch.bool)
    yield Layout("tiles with a mask of tiles", {"pixel_values": values, "pixel_attention_mask": whole}, guess)


def _pixel_mask(facts: PictureFacts, pictures: Pictures, names: Collection[str]) -> Iterator[Layout]:
    """Pictures with a mask of pixels."""
    height, width = facts.fixed_size or _any_size(facts, pictures)
    values = torch.ones(pictures.count, facts.channels, height, width)
    mask = torch.ones(pictures.count, height, width, dtype=torch.bool)
    yield Layout("pictures with a mask", {"pixel_values": values, "pixel_mask": mask})


def _sized(facts: PictureFacts, pictures: Pictures, names: Collection[str]) -> Iterator[Layout]:
    """Pictures with their sizes: cut to tiles where the config says how, else as they are."""
    points = facts.find("image_grid_pinpoints", "grid_pinpoints")
    sizes = torch.tensor([list(pictures.size)] * pictures.count)
    if points and facts.fixed_size:
        side = facts.fixed_size[0]
        tiles = 1 + _best_grid(pictures.size, points, side)
        shape = (pictures.count, tiles, facts.channels, side, side)
        yield Layout("tiles with sizes", {"pixel_values": torch.ones(shape), "image_sizes": sizes})
    height, width = _any_size(facts, pictures)
    shape4 = (pictures.count, facts.channels, height, width)
    sizes = torch.tensor([[height, width]] * pictures.count)
    if facts.find("vision_feature_select_strategy") is None:
        yield Layout("pictures with sizes", {"pixel_values": torch.ones(shape4), "image_sizes": sizes})


def _best_grid(size: tuple[int, int], points: list[list[int]], side: int) -> int:
    """Tiles of the grid that shows most of a picture with the least waste, as `select_best_resolution` has it."""
    from transformers.image_processing_utils import select_best_resolution

    height, width = select_best_resolution(size, points)
    return int(height // side) * int(width // side)


def _two_sizes(facts: PictureFacts, pictures: Pictures, names: Collection[str]) -> Iterator[Layout]:
    """Every picture twice, for a tower of few and one of many pixels."""
    fine = getattr(facts.config, "high_res_vision_config", None)
    side, coarse = getattr(fine, "image_size", None), facts.fixed_size
    if isinstance(side, int) and coarse is not None:
        values = torch.ones(pictures.count, facts.channels, *coarse)
        more = torch.ones(pictures.count, facts.channels, side, side)
        yield Layout("pictures in two sizes", {"pixel_values": values, "high_res_pixel_values": more})


def _flattened(facts: PictureFacts, pictures: Pictures, names: Collection[str]) -> Iterator[Layout]:
    """Patches with their row and column in front, [pictures, patches, 2 + values]."""
    height, width = (side // facts.patch for side in _any_size(facts, pictures))
    shape = (pictures.count, height * width, 2 + facts.channels * facts.patch**2)
    yield Layout("flattened patches", {"flattened_patches": torch.ones(shape)})


def _rows_of_patches(facts: PictureFacts, pictures: Pictures, names: Collection[str]) -> Iterator[Layout]:
    """Patches of each row's pictures, [rows, patches, values]."""
    height, width = (-(-side // facts.patch) for side in pictures.size)
    shape = (pictures.rows, pictures.each * height * width, facts.channels * facts.patch**2)
    yield Layout("patches of each row", {"image_patches": torch.ones(shape)})


def _pooled_crops(facts: PictureFacts, pictures: Pictures, names: Collection[str]) -> Iterator[Layout]:
    """Crops as patches, [crops, patches, values], and which patches become each token, [tokens, 4].

    An overview and crops that overlap by 4 patches on each side; squares of 2 by 2 patches become a token, those that
    two crops share once, as Molmo 2's processor has it.
    """
    from transformers.models.molmo2.image_processing_molmo2 import select_tiling

    side = (facts.fixed_size or _any_size(facts, pictures))[0] // facts.patch
    inner = max(1, side - 8)
    height, width = (pixels - 8 * facts.patch for pixels in pictures.size)
    down, across = select_tiling(height, width, inner * facts.patch, MOST_CROPS)
    crops, whole = 1 + down * across, math.ceil(side / 2)
    rows, columns = (math.ceil((count * inner + side - inner) / 2) for count in (down, across))
    tokens = whole**2 + rows * columns
    first = (torch.arange(tokens) * 4).clamp(max=crops * side**2 - 4)
    once = first[:, None] + torch.arange(4)
    offsets = torch.arange(pictures.count)[:, None, None] * crops * side**2
    values = torch.ones(pictures.count * crops, side**2, facts.channels * facts.patch**2)
    yield Layout(
        "crops with what is pooled",
        {
            "pixel_values": values,
            "image_token_pooling": (once + offsets).flatten(0, 1),
            "image_grids": torch.tensor([[whole, whole, rows, columns]] * pictures.count),
            "image_num_crops": torch.full((pictures.count,), crops),
        },
        (f"a picture is cut into {crops - 1} crops and an overview",),
    )


def _plain(facts: PictureFacts, pictures: Pictures, names: Collection[str]) -> Iterator[Layout]:
    """Pictures, [pictures, C, H, W], or tiles of each picture, [rows, tiles, C, H, W]."""
    fixed = facts.fixed_size
    height, width = fixed or _any_size(facts, pictures)
    shape = (pictures.count, facts.channels, height, width)
    yield Layout("pictures", {"pixel_values": torch.ones(shape)})
    nested = (pictures.rows, pictures.each, facts.channels, height, width)
    yield Layout("pictures of each row", {"pixel_values": torch.ones(nested)})
    yield Layout("tiles of each picture", {"pixel_values": torch.ones(pictures.count, 1, *shape[1:])})
    if facts.temporal > 1:  # squares cut from the picture as it is, the last ones filled up, colours last (Inkling)
        height, width = (math.ceil(side / facts.patch) for side in pictures.size)
        square = (facts.temporal, facts.patch, facts.patch, facts.channels)
        yield Layout("squares in time", {"pixel_values": torch.ones(pictures.count * height * width, *square)})


def _tiles(pictures: Pictures, tile: tuple[int, int]) -> tuple[int, tuple[str, ...]]:
    """Tiles that a picture is cut into, its overview included."""
    rows, columns = (math.ceil(side / part) for side, part in zip(pictures.size, tile, strict=True))
    count = rows * columns
    if count == 1:
        return 1, ()
    count = min(count, MAX_TILES)
    return 1 + count, (f"a picture is cut into {count} tiles of {tile[1]} x {tile[0]} pixels and an overview",)


_BY_ARGUMENT: tuple[tuple[str, Maker], ...] = (
    ("image_grid_thw", _grid),
    ("image_grid_hw", _flat_grid),
    ("spatial_shapes", _spatial_shapes),
    ("image_position_ids", _positions),
    ("aspect_ratio_ids", _aspect),
    ("pixel_attention_mask", _masked_tiles),
    ("pixel_mask", _pixel_mask),
    ("image_sizes", _sized),
    ("high_res_pixel_values", _two_sizes),
    ("flattened_patches", _flattened),
    ("image_patches", _rows_of_patches),
    ("image_token_pooling", _pooled_crops),
)
"""By the argument that gives a form away."""
