"""What an agent does: outcomes, where it goes, grids of shifts, accounts of what it wants."""
