"""`goalmaze card`: one reproducible document an agent, with results beside the pass marks of a policy."""
