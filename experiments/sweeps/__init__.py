"""Many runs: a plan of seeds and dials, processes or a cluster that carry it out, and what came of it as one table."""
