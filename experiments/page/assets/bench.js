"use strict";
/* Drags a target over every free cell of large mazes, and writes the delays of all updates into the page. */

const SECONDS = Number(/seconds=(\d+)/.exec(location.search)[1]), WARM_UP = 1;

startTheme();
const mazes = LEVEL_SETS[0], agent = AGENTS[0], tool = { key: "target", label: "target", moves: ["target"] };
const scene = (number) => ({ level: mazes.levels[number], limit: mazes.limit, row: 0, target: mazes.targets[number], about: "" });
const stage = new Stage(byId("stage"), {
  prefix: "bench", tools: [tool], level: scene(0),
  sides: [{ key: "unedited", title: "Unedited", note: "", agent, edited: false }, { key: "edited", title: "Edited", note: "", agent, edited: true }],
});

/* One update: the target on another cell, the edited agent's policy in every cell, and both mazes drawn. */
function update(cell) {
  const begin = performance.now();
  if (!stage.move(tool, cell)) return null;
  return performance.now() - begin;
}

function drag(seconds) {
  const delays = [], begin = performance.now();
  for (let number = 0; performance.now() - begin < 1000 * seconds; number = (number + 1) % mazes.levels.length) {
    stage.setLevel(scene(number));
    for (const cell of stage.level.walls.keys()) {
      const delay = stage.level.walls[cell] ? null : update(cell);
      if (delay !== null) delays.push(delay);
      if (performance.now() - begin > 1000 * seconds) break;
    }
  }
  return delays;
}

drag(WARM_UP);
byId("result").textContent = JSON.stringify({ simd: ARENA.simd, delays: drag(SECONDS) });
