"""What one job reads and writes.

What it does not do: read or write any of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.spec import Spec
from core.training.metrics import Metrics
from core.training.status import StatusFile
from core.training.stopping import StopRequest


@dataclass(frozen=True)
class Desk:
    """What one job reads and writes."""

    folder: Path
    spec: Spec
    status: StatusFile
    metrics: Metrics
    stop: StopRequest
