"""What of a spec may leave the machine: folders by their last name only, everything else as it is.

What it does not do: look for secrets; a spec has no field for one.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from core.spec import Source, Spec


def published_source(source: Source) -> Source:
    """The source without the machine's folders."""
    return replace(source, name=Path(source.name).name) if source.kind == "folder" else source


def published_spec(spec: Spec) -> Spec:
    """The spec without the machine's folders."""
    return replace(spec, model=published_source(spec.model), data=published_source(spec.data))
