"""Random messages of a page that are hostile, malformed, or nearly right but impossible."""

import json
import random
from typing import Any


def nonsense(rng: random.Random) -> str:
    """Return such a message."""
    values: list[Any] = [None, -1, 2**70, 1e308, "", "x" * 40, [], {}, True, [[[]]], "\ud7ff\x00", "../../etc/passwd"]
    value = rng.choice(values)
    near: list[Any] = [
        {"do": rng.choice(["move", "wall", "choose", "paste", "inspect", "step", "sudo", None, 3]), "cell": value},
        {
            "do": "move",
            "what": rng.choice(["target", "exit", "agent", "walls", "apple"]),
            "cell": rng.choice([0, 8, 80, 900, 10**9]),
        },
        {"do": "move", "what": "sign", "which": rng.choice([1, 2, 3, 63, 64, -1]), "cell": 10},
        {"do": "wall", "cell": rng.choice([0, 4, 8, 9, 80, 960, -5]), "up": rng.choice([True, False, 1, "yes"])},
        {
            "do": "choose",
            "change": {rng.choice(["agent", "family", "site", "method", "shift", "link"]): str(value) + "?"},
        },
        {
            "do": "choose",
            "change": {rng.choice(["size", "seed", "index", "target"]): rng.choice([-1, 4, 6, 999, 2**40, 0.5, "1"])},
        },
        {
            "do": "choose",
            "change": {
                "level": {
                    "walls": rng.choice(["", "01", "2" * 81, "1" * 81]),
                    "start": 10,
                    "objects": [1] * rng.randrange(70),
                }
            },
        },
        {"do": "paste", "text": rng.choice(["", "###", "A", "#" * 4096, "x\n" * 50])},
        {"do": "inspect", "site": rng.choice(["hidden", "stem2", "__class__"])},
        {"do": "step", "n": rng.choice([-1, "1", 2**60])},
        value,
    ]
    text = json.dumps(rng.choice(near))
    if rng.random() < 0.3:
        text = text[: rng.randrange(len(text) + 1)] + rng.choice(["", '"', "\x00", "[" * 2000])
    return text


def is_harmless(text: str) -> bool:
    """Return whether a message happens to be valid."""
    try:
        change = json.loads(text)["change"]
        number = change.get("index", change.get("seed"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
    return type(number) is int and 0 <= number < 2**31
