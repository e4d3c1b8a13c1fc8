"""The measurements of two studies of Procgen's maze, Langosco et al. (2022) and Mini et al. (2023), on one agent."""
