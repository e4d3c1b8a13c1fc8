"use strict";
/* Drags a target over every free cell of large mazes, and writes the delays of all updates into the page. */

const SECONDS = Number(/seconds=(\d+)/.exec(location.search)[1]), WARM_UP = 1;

startTheme();
const mazes = LEVEL_SETS[0], agent = AGENTS[0], tool = { key: "target", label: "Target", moves: ["target"] };
const scene = (number) => ({ level: mazes.levels[number], limit: mazes.limit, seed: number, target: mazes.targets[number], about: "" });
const stage = localStage(byId("stage"), { sides: { unedited: { agent, edited: false }, edited: { agent, edited: true } }, ...scene(0) }, {
  prefix: "bench", tools: () => [tool], titles: () => ({ unedited: ["Unedited", ""], edited: ["Edited", ""] }),
});

/* One update: the target on another cell, the edited agent's policy in every cell, and both mazes drawn. */
function update(cell) {
  if (cell === stage.state.target) return null;
  const begin = performance.now();
  stage.send({ do: "move", what: "target", cell, drag: 1 });
  stage.paint();
  return performance.now() - begin;
}

function drag(seconds) {
  const delays = [], begin = performance.now();
  for (let number = 0; performance.now() - begin < 1000 * seconds; number = (number + 1) % mazes.levels.length) {
    stage.open(scene(number));
    for (const cell of stage.session.level.walls.keys()) {
      const delay = stage.session.level.walls[cell] ? null : update(cell);
      if (delay !== null) delays.push(delay);
      if (performance.now() - begin > 1000 * seconds) break;
    }
  }
  return delays;
}

drag(WARM_UP);
byId("result").textContent = JSON.stringify({ simd: ARENA.simd, delays: drag(SECONDS) });
