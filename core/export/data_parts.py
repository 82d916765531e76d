"""What the exported script says of its rows when they are limited in length, or their pictures are changed.

The changes are those of `core.data.batches.augmentation`, with the same dice.
What it does not do: anything for settings that leave rows as they are; see `script_parts` for the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from core.export import script_parts as parts
from core.spec import Settings

CHANGE = '''
def change(image, key):
    """The picture changed a little, in ways that leave every answer true; the same key gives the same change."""
    dice = random.Random(key)
    width, height = image.size
    if "rotation" in AUGMENT:
        fill = image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
        image = image.rotate(dice.uniform(-4.0, 4.0), Image.Resampling.BICUBIC, fillcolor=fill)
    if "crop" in AUGMENT:
        left, top, right, bottom = (dice.uniform(0, 0.04) for _ in range(4))
        box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
        image = image.resize(image.size, Image.Resampling.BICUBIC, box)
    if "colour" in AUGMENT:
        for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            image = enhance(image).enhance(1 + dice.uniform(-0.2, 0.2))
    if "blur" in AUGMENT:
        image = image.filter(ImageFilter.GaussianBlur(dice.uniform(0, min(2.0, 0.006 * min(image.size)))))
    if "jpeg" in AUGMENT:
        file = BytesIO()
        image.save(file, "JPEG", quality=dice.randint(40, 95))
        image = Image.open(file).convert("RGB")
    return image
'''
_FOR_CHANGES = (
    ("picture, question, _ = row", "picture, question, _, *key = row"),
    (
        'place["image"] = ImageOps.exif_transpose(image).convert("RGB")',
        'place["image"] = ImageOps.exif_transpose(image).convert("RGB")\n'
        '        if key:\n            place["image"] = change(place["image"], key[0])',
    ),
    (
        'rows = [self.rows[item["row"]] for item in items]\n',
        'rows = [self.rows[item["row"]] for item in items]\n'
        "        if self.changing:\n"
        '            rows = [(*row, f"{SEED}:{self.seen + at}:0") for at, row in enumerate(rows)]\n'
        "            self.seen += len(rows)\n",
    ),
    (
        "self.processor, self.rows, self.stops = processor, rows, stops\n",
        "self.processor, self.rows, self.stops = processor, rows, stops\n"
        "        self.changing, self.seen = False, 0  # a start from the data sees the pictures as they are\n",
    ),
)
_FOR_A_LIMIT = (
    (
        "        return whole\n",
        '        if whole["input_ids"].shape[1] > MAX_TOKENS:\n'
        '            raise SystemExit(f"{row[0].name} makes a row of more than {MAX_TOKENS} tokens.")\n'
        "        return whole\n",
    ),
)


def data_constants(settings: Settings) -> Iterator[str]:
    """The lines that say how rows are limited and changed."""
    if settings.max_tokens is not None:
        yield f"MAX_TOKENS = {settings.max_tokens}  # of a row; nothing is ever cut"
    if settings.augment:
        yield f"AUGMENT = {json.dumps(list(settings.augment))}  # small changes of the pictures that are trained on"


def data_blocks(settings: Settings) -> Iterator[str]:
    """How the script reads its rows and makes batches of them."""
    rows, collator = parts.ROWS, parts.COLLATOR
    changes = (*(_FOR_CHANGES if settings.augment else ()), *(_FOR_A_LIMIT if settings.max_tokens else ()))
    for old, new in changes:
        if (rows + collator).count(old) != 1:
            raise AssertionError(f"the script's parts no longer hold “{old}” once")
        rows, collator = rows.replace(old, new), collator.replace(old, new)
    yield rows
    if settings.augment:
        yield CHANGE
    yield collator


def with_imports(head: str, settings: Settings) -> str:
    """The script's head with what the changes of pictures need."""
    if not settings.augment:
        return head
    head = head.replace("from PIL import Image, ImageOps", "from PIL import Image, ImageEnhance, ImageFilter, ImageOps")
    head = head.replace("import json\n", "import json\nimport random\n", 1)
    return head.replace("from pathlib", "from io import BytesIO\nfrom pathlib", 1)
