"""Commands that list what there is: zoo agents, runs, families, networks, level leakage, imports."""
