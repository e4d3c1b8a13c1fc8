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
from goalmaze.experiments.retarget.candidates import fit_candidate
from goalmaze.experiments.retarget.figures import activation_maps, example_mazes, heat_maps, vector_fields
from goalmaze.experiments.retarget.side_effects import side_effects
from goalmaze.experiments.retarget.task import draw_retargeting_task, make_fit_context
from goalmaze.probes.controls import untrained_above

agent = load_agent("zoo:green-exit")
print(map_sites(agent.network))

# %% 2. Held-out mazes, and a random reachable cell in each to send it to
task = draw_retargeting_task(agent.family, levels=64, seed=0)
print(f"{len(task.levels)} mazes; in {task.off_path.sum()} the exit is off the path to the target")

# %% 3. Without an edit it goes to the exit
print("unedited:", task.evaluate(agent.policy).overall.other)

# %% 4. The reference: the green sign physically moved to the target
moved = task.with_cue_moved().evaluate(agent.policy)
print("sign moved:", moved.overall.other)

# %% 5. Fit what a goal adds around its square, on other mazes
context = make_fit_context(agent.policy, agent.family, levels=128, seed=0)
candidate = fit_candidate(context, site="stem", method="mean-pattern")
print(candidate.text(), "- uses:", ", ".join(sorted(candidate.fitted_edit.uses)))

# %% 6. Add it at the target, subtract it at the exit
edited = task.evaluate(agent.policy, candidate.edits(task))
print("edited:", edited.overall.other)

# %% 7. Two controls: noise of the same size, and another maze's edit
noise = task.evaluate(agent.policy, candidate.noise_edits(task))
wrong = task.evaluate(agent.policy, candidate.mismatched_edits(task))
print("noise:", noise.overall.other, "another maze's:", wrong.overall.other)

# %% 8. Who navigates? Under layers that were never trained the same edit does not steer
untrained = type(agent.policy)(untrained_above(agent.network, "stem", seed=0))
lost = task.evaluate(untrained, candidate.edits(task))
print("edit under untrained layers:", lost.overall.other)

# %% 9. Side effects, and is the agent restored afterwards?
effects = side_effects(agent.policy, task, candidate.fitted_edit)
print(f"steps over steps needed {effects.edited.detour:.2f}; without the edit, restored: {effects.restored}")

# %% 10. Figures
b = int(example_mazes(task)[0])
pictures = {
    "field": vector_fields(agent.policy, task, b, candidate),
    "heat": heat_maps(agent.policy, task, np.array([b]), candidate),
    "activations": activation_maps(agent.policy, task, b, candidate),
}
pictures["field"]
