"""Types of Gymnasium's interface, where it leaves the type of a value open."""

from __future__ import annotations

from typing import Any, TypeAlias

Info: TypeAlias = dict[str, Any]
"""What Gymnasium calls info, options and metadata: values of any type by name."""
