"""What drove one decision: elements of a state, counterfactual states, and methods that say which element mattered."""
