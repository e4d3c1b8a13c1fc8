"""How fast the parts are: one module a benchmark, each with a `measure`."""
