"""`goalmaze bench`: measurements of speed, one module a benchmark, each with a function `measure(full) -> rows`."""
