"""The methods that score an agent on lit levels; each registers in its own file."""
