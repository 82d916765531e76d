"""Pictures of a person's own data as the page shows them: always drawn anew, small, and of a kind that holds no script.

What it does not do: pass on a byte of the file that was uploaded.
"""

from __future__ import annotations

import threading
from io import BytesIO

from starlette.responses import Response

from core.data.files.pictures import open_picture
from core.data.rows import Picture

SIDE = 320
"""Pixels of the longer side, at most."""
_one_at_a_time = threading.Lock()
"""One picture may take `core.data.files.pictures.MEMORY` on its way."""
HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, max-age=3600"}


def thumbnail(picture: Picture) -> bytes:
    """The picture as WEBP. Raises DataError: it cannot be opened."""
    with _one_at_a_time:
        image, file = open_picture(picture.read(), picture.name, SIDE), BytesIO()
        image.save(file, "WEBP", quality=82, method=2)
    return file.getvalue()


def shown(content: bytes) -> Response:
    """A thumbnail as an answer, which only this browser may keep."""
    return Response(content, media_type="image/webp", headers=HEADERS)
