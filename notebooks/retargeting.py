"""From a shipped agent to a retargeted one in ten cells.

A notebook as text: `jupytext --to ipynb notebooks/retargeting.py` makes the other form; as it stands it also runs with
`python notebooks/retargeting.py`.
"""

# %% [markdown]
# # Send an agent somewhere else by rewriting its goal
# The agent `zoo:green-exit` was rewarded for reaching the exit, which in training always carried a green sign. Here its
# activations are edited so that it goes to a cell that nothing in the maze marks.

# %% 1. The agent and what can be edited in it
import numpy as np

from goalmaze.agents.loading import load_agent
from goalmaze.agents.sites import map_sites
from goalmaze.experiments.retarget.candidates import find_candidate
from goalmaze.experiments.retarget.comparison import make_workshop
from goalmaze.experiments.retarget.figures import activation_maps, heat_maps, telling_mazes, vector_fields
from goalmaze.experiments.retarget.side_effects import side_effects
from goalmaze.experiments.retarget.task import draw_errand
from goalmaze.probes.controls import untrained_above

agent = load_agent("zoo:green-exit")
print(map_sites(agent.network))

# %% 2. Held-out mazes, and a random reachable cell in each to send it to
errand = draw_errand(agent.family, levels=64, seed=0)
print(f"{len(errand.levels)} mazes; in {errand.off_path.sum()} the exit is not on the way to the target")

# %% 3. Without an edit it goes to the exit
print("unedited:", errand.run(agent.policy).everywhere.other)

# %% 4. The mark to beat: the green sign physically moved to the target
moved = errand.cue_moved().run(agent.policy)
print("sign moved:", moved.everywhere.other)

# %% 5. Find what a goal adds around its square, on other mazes
workshop = make_workshop(agent.policy, agent.family, levels=128, seed=0)
pattern = find_candidate(workshop, site="stem", method="mean-pattern")
print(pattern.text(), "- knows:", ", ".join(sorted(pattern.found.knows)))

# %% 6. Write it at the target, take it away at the exit
edited = errand.run(agent.policy, pattern.edits(errand))
print("edited:", edited.everywhere.other)

# %% 7. Three controls: noise of the same size, another maze's edit, the first step alone
noise = errand.run(agent.policy, errand.noise(pattern.found))
wrong = errand.run(agent.policy, errand.edits_of_another(pattern.found))
print("noise:", noise.everywhere.other, "another maze's:", wrong.everywhere.other)

# %% 8. Who finds the way? Under layers that were never trained the same edit leads nowhere
blank = type(agent.policy)(untrained_above(agent.network, "stem", seed=0))
lost = errand.run(blank, pattern.edits(errand))
print("edit under untrained layers:", lost.everywhere.other)

# %% 9. What else changed, and is it all undone?
effects = side_effects(agent.policy, errand, pattern.found)
print(f"steps over steps needed {effects.edited.detour:.2f}; taken off, restored: {effects.restored}")

# %% 10. Look
b = int(telling_mazes(errand)[0])
pictures = {
    "field": vector_fields(agent.policy, errand, b, pattern),
    "heat": heat_maps(agent.policy, errand, np.array([b]), pattern),
    "activations": activation_maps(agent.policy, errand, b, pattern),
}
pictures["field"]
