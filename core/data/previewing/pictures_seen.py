"""Pictures as a model gets them: after the processor has resized, cut and normalised them, made visible again.

What it does not do: know every layout; one that cannot be shown comes with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.data.batches.conversations import encode_prompts
from core.data.rows import Picture, Row, ask
from core.errors import DataError

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

GAP = 2
"""Pixels between two tiles."""
MAX_TILES = 64
"""More are not laid out."""


@dataclass(frozen=True)
class Seen:
    """A picture as the model gets it."""

    name: str
    image: Image | None
    """None where it cannot be shown."""
    note: str
    """Its size and pieces, or why it cannot be shown."""


def seen(processor: Any, row: Row, prompt: Mapping[str, Any]) -> Iterator[Seen]:
    """The pictures of a row, in their order.

    Args:
        processor: the model's.
        row: where they come from.
        prompt: what the processor made of the row; with several pictures each is processed by itself.
    """
    for picture in row.pictures:
        yield _seen(processor, picture, prompt if len(row.pictures) == 1 else None)


def _seen(processor: Any, picture: Picture, prompt: Mapping[str, Any] | None) -> Seen:
    try:
        inputs = prompt or encode_prompts(processor, [ask(picture, "?")])
    except DataError:
        return Seen(picture.name, None, "it cannot be shown: the processor does not take it by itself")
    values, grid = inputs.get("pixel_values"), inputs.get("image_grid_thw")
    tiles = None if values is None else _as_tiles(processor, values.float(), grid)
    if tiles is None or len(tiles) > MAX_TILES:
        shape = "" if values is None else f" ({' × '.join(map(str, values.shape))})"
        return Seen(picture.name, None, f"it cannot be shown: this model takes pictures in a layout of its own{shape}")
    image = _visible(processor.image_processor, _laid_out(tiles, picture))
    height, width = tiles.shape[-2:]
    pieces = "" if len(tiles) == 1 else f"{len(tiles)} pieces of "
    return Seen(picture.name, image, f"{pieces}{width} × {height} pixels")


def _as_tiles(processor: Any, values: torch.Tensor, grid: torch.Tensor | None) -> torch.Tensor | None:
    """The pieces [N, 3, H, W] of one picture; None for a layout that is not known."""
    if grid is not None and values.ndim == 2 and len(grid) == 1:
        return _from_patches(processor.image_processor, values, grid[0].tolist())
    if values.ndim < 4 or values.shape[-3] != 3:
        return None
    tiles = values.reshape(-1, *values.shape[-3:])
    used = tiles.flatten(1).ne(0).any(dim=1)  # places for more pieces are left at zero
    return tiles[used] if used.any() else tiles[:1]


def _from_patches(settings: Any, values: torch.Tensor, grid: list[int]) -> torch.Tensor | None:
    """The picture [1, 3, H, W] of Qwen2-VL's patches [N, 3 * T * P * P], whose order is by merged squares.

    The inverse of `Qwen2VLImageProcessor` in transformers: (t, h/m, w/m, m, m) patches of (channel, time, row, column).
    """
    sizes = [getattr(settings, key, None) for key in ("patch_size", "merge_size", "temporal_patch_size")]
    if not all(isinstance(size, int) for size in sizes):
        return None
    patch, merge, times = map(int, filter(None, sizes))
    depth, high, wide = grid
    if values.numel() != math.prod((depth, high, wide, 3, times, patch, patch)):
        return None
    split = values.reshape(depth, high // merge, wide // merge, merge, merge, 3, times, patch, patch)
    first = split[0, :, :, :, :, :, 0]  # [h/m, w/m, m, m, 3, P, P]
    return first.permute(4, 0, 2, 5, 1, 3, 6).reshape(1, 3, high * patch, wide * patch)


def _laid_out(tiles: torch.Tensor, picture: Picture) -> torch.Tensor:
    """Pieces [N, 3, H, W] side by side as one [3, ...]: a grid of the picture's shape, and the whole picture behind."""
    if len(tiles) == 1:
        return tiles[0]
    count, height, width = len(tiles), tiles.shape[-2], tiles.shape[-1]
    columns, rows = _grid(count - 1, picture.open().size, (width, height))
    alone = columns * rows == count - 1
    columns = columns + 1 if alone else columns
    sheet = tiles.new_full((3, rows * (height + GAP) - GAP, columns * (width + GAP) - GAP), float(tiles.max()))
    for index, tile in enumerate(tiles):
        across, down = (index % (columns - 1), index // (columns - 1)) if alone else (index % columns, index // columns)
        if alone and index == count - 1:
            across, down = columns - 1, 0
        top, left = down * (height + GAP), across * (width + GAP)
        sheet[:, top : top + height, left : left + width] = tile
    return sheet


def _grid(count: int, size: tuple[int, int], tile: tuple[int, int]) -> tuple[int, int]:
    """Columns and rows whose shape is nearest to the picture's (width, height)."""
    wanted = (size[0] / tile[0]) / (size[1] / tile[1])
    pairs = [(columns, count // columns) for columns in range(1, count + 1) if count % columns == 0]
    return min(pairs, key=lambda pair: abs(math.log(pair[0] / pair[1] / wanted)))


def _visible(settings: Any, values: torch.Tensor) -> Image:
    """Values [3, H, W] as the processor left them, as a picture."""
    import torch
    from PIL import Image as images

    if getattr(settings, "do_normalize", False):
        mean, deviation = (torch.tensor(getattr(settings, key)).view(-1, 1, 1) for key in ("image_mean", "image_std"))
        values = values * deviation + mean
    scale = 255.0 if getattr(settings, "do_rescale", True) else 1.0
    pixels = (values * scale).round().clamp(0, 255).to(torch.uint8)
    return images.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
