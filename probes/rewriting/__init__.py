"""Methods that rewrite what an agent remembers of its goal, one file each."""
