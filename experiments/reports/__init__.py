"""One self-contained HTML file on the behaviour of agents."""
