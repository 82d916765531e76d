"""Which pictures look alike: copies that were scaled, saved again, or changed a little.

Two pictures are alike when their difference hashes differ in at most `MAX_BITS` of 64 bits and their 16 × 16
likenesses by at most `MAX_DIFFERENCE` of their contrast. Pairs are found without comparing all with all: of five
parts of the hash, at least two are equal in a pair (pigeonhole), so only pictures that share two parts are compared.
What it does not do: find turned or cropped copies.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, Any]

MAX_BITS = 3
PARTS = ((0, 13), (13, 13), (26, 13), (39, 13), (52, 12))
"""Of the hash: first bit, bits. Three bits spoil at most three of the five parts."""
MAX_DIFFERENCE = 0.12
"""Root mean square of the difference of two likenesses, over their standard deviation. A JPEG of quality 60 at half
the size stays below 0.05; two photographs, or two persons' handwriting of one digit, stay above 0.3."""
MIN_CONTRAST = 4.0
"""Standard deviation (of 255) below which a likeness says nothing: plain pictures are not alike for being plain."""
CROWD = 400
"""Pictures that share two parts are compared with each other up to so many; beyond, only equal hashes are."""


def near_groups(hashes: Numbers, thumbs: Numbers) -> Numbers:
    """A label for each picture; pictures that are alike, also by way of others, have the same one.

    Args:
        hashes: dHash, uint64 [N].
        thumbs: grey likenesses, uint8 [N, 16, 16].
    """
    import numpy as np

    flat = thumbs.reshape(len(thumbs), thumbs[0].size if len(thumbs) else 1)
    contrast = np.concatenate([np.zeros(0), *(flat[at : at + 4096].std(axis=1) for at in range(0, len(flat), 4096))])
    telling = np.flatnonzero(contrast >= MIN_CONTRAST)
    labels = np.arange(len(hashes))
    for first, second in _candidates(hashes[telling]) if len(telling) else ():
        a, b = telling[first], telling[second]
        difference = np.sqrt(((flat[a].astype(np.float32) - flat[b]) ** 2).mean(axis=1))
        alike = difference <= MAX_DIFFERENCE * np.minimum(contrast[a], contrast[b])
        for left, right in zip(a[alike].tolist(), b[alike].tolist(), strict=True):
            join(labels, left, right)
    return roots(labels)


def join(labels: Numbers, left: int, right: int) -> None:
    """Puts two into one group: a forest whose roots are the lowest numbers."""
    left, right = _root(labels, left), _root(labels, right)
    labels[max(left, right)] = min(left, right)


def roots(labels: Numbers) -> Numbers:
    """Every member labelled by its group's lowest number."""
    import numpy as np

    while True:
        higher = labels[labels]
        if np.array_equal(higher, labels):
            return labels
        labels = higher


def _root(labels: Numbers, number: int) -> int:
    while (above := int(labels[number])) != number:
        labels[number] = labels[above]
        number = above
    return number


def _candidates(hashes: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
    """Pairs whose hashes differ in few bits; a pair may come more than once."""
    import numpy as np

    parts = [(hashes >> np.uint64(start)) & np.uint64((1 << bits) - 1) for start, bits in PARTS]
    for one, other in combinations(range(len(PARTS)), 2):
        key = (parts[one] << np.uint64(13)) | parts[other]
        yield from _in_crowds(key, hashes)
    order = np.argsort(hashes, kind="stable")
    same = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
    yield order[same], order[same + 1]


def _in_crowds(key: Numbers, hashes: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
    """Pairs with equal keys and near hashes, from every crowd that is not too large."""
    import numpy as np

    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=key[order][:1] + np.uint64(1)))
    sizes = np.diff(np.append(starts, len(order)))
    order = order[np.repeat((sizes >= 2) & (sizes <= CROWD), sizes)]
    key = key[order]
    for apart in range(1, CROWD):
        together = np.flatnonzero(key[apart:] == key[:-apart])
        if not len(together):
            return
        first, second = order[together], order[together + apart]
        near = np.bitwise_count(hashes[first] ^ hashes[second]) <= MAX_BITS
        yield first[near], second[near]
