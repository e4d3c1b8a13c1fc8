"""Reading and writing activations: what a network represents, and how its behaviour changes when that is edited."""
