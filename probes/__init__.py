"""Reading and writing activations: what a network holds, and what follows when it is changed."""
