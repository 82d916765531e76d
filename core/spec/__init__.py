"""Every value that crosses a border (page, command line, worker, disk): frozen, checked when made, JSON in and out.

One straight line: Source -> Inspection -> Selection -> Plan -> Budget, and Plan + data + Settings -> Spec.
What it does not do: read a model, count a parameter or touch a file other than by `read` and `write`.
"""

from core.spec.job import ENDED, SCHEMA_VERSION, Quantization, Score, Settings, Spec, State, Status
from core.spec.model import COMPONENTS, ROLES, Component, Confidence, Inspection, Module, Parameter, Role, Source
from core.spec.plan import (
    CELL_ROLES,
    MAX_ALPHA,
    MAX_RANK,
    Budget,
    Knobs,
    LayerRange,
    Method,
    Override,
    Plan,
    Recipe,
    Selection,
    Start,
)
from core.spec.text import from_dict, from_json, read, to_dict, to_json, write

__all__ = [
    "CELL_ROLES",
    "COMPONENTS",
    "ENDED",
    "MAX_ALPHA",
    "MAX_RANK",
    "ROLES",
    "SCHEMA_VERSION",
    "Budget",
    "Component",
    "Confidence",
    "Inspection",
    "Knobs",
    "LayerRange",
    "Method",
    "Module",
    "Override",
    "Parameter",
    "Plan",
    "Quantization",
    "Recipe",
    "Role",
    "Score",
    "Selection",
    "Settings",
    "Source",
    "Spec",
    "Start",
    "State",
    "Status",
    "from_dict",
    "from_json",
    "read",
    "to_dict",
    "to_json",
    "write",
]
