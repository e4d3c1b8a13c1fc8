"""Types of JSON data.

What a JSON file holds is known only after it was validated, so the values of an object are `Any` here and nowhere else:
code that reads a file checks each value before it uses it, and code that writes one lets mypy check what it puts in.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object that its owner fills or has just parsed."""

ReadonlyJsonObject: TypeAlias = Mapping[str, Any]
"""A JSON object of somebody else's: it is read and not changed."""
