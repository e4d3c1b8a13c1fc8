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
from goalmaze.experiments.retarget.comparison import make_fit_context
from goalmaze.experiments.retarget.figures import activation_maps, heat_maps, telling_mazes, vector_fields
from goalmaze.experiments.retarget.side_effects import side_effects
from goalmaze.experiments.retarget.task import draw_retargeting_task
from goalmaze.probes.controls import untrained_above

agent = load_agent("zoo:green-exit")
print(map_sites(agent.network))

# %% 2. Held-out mazes, and a random reachable cell in each to send it to
task = draw_retargeting_task(agent.family, levels=64, seed=0)
print(f"{len(task.levels)} mazes; in {task.off_path.sum()} the exit is not on the way to the target")

# %% 3. Without an edit it goes to the exit
print("unedited:", task.run(agent.policy).everywhere.other)

# %% 4. The mark to beat: the green sign physically moved to the target
moved = task.cue_moved().run(agent.policy)
print("sign moved:", moved.everywhere.other)

# %% 5. Find what a goal adds around its square, on other mazes
context = make_fit_context(agent.policy, agent.family, levels=128, seed=0)
pattern = find_candidate(context, site="stem", method="mean-pattern")
print(pattern.text(), "- knows:", ", ".join(sorted(pattern.found.uses)))

# %% 6. Write it at the target, take it away at the exit
edited = task.run(agent.policy, pattern.edits(task))
print("edited:", edited.everywhere.other)

# %% 7. Three controls: noise of the same size, another maze's edit, the first step alone
noise = task.run(agent.policy, task.noise(pattern.found))
wrong = task.run(agent.policy, task.edits_of_another(pattern.found))
print("noise:", noise.everywhere.other, "another maze's:", wrong.everywhere.other)

# %% 8. Who finds the way? Under layers that were never trained the same edit leads nowhere
blank = type(agent.policy)(untrained_above(agent.network, "stem", seed=0))
lost = task.run(blank, pattern.edits(task))
print("edit under untrained layers:", lost.everywhere.other)

# %% 9. What else changed, and is it all undone?
effects = side_effects(agent.policy, task, pattern.found)
print(f"steps over steps needed {effects.edited.detour:.2f}; taken off, restored: {effects.restored}")

# %% 10. Look
b = int(telling_mazes(task)[0])
pictures = {
    "field": vector_fields(agent.policy, task, b, pattern),
    "heat": heat_maps(agent.policy, task, np.array([b]), pattern),
    "activations": activation_maps(agent.policy, task, b, pattern),
}
pictures["field"]
