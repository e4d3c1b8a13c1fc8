"use strict";
/* The agents of the page: networks made from data when they are first used, their edits, readings and tallies. */

/* `?plain` in the address leaves WebAssembly out. */
const ARENA = new Arena(!/[?&]plain\b/.test(location.search));

function patternOf(data) {
  const [side, , channels] = data.pattern.shape;
  return { site: data.site, rectified: data.rectified, side, channels, floats: floatsOf(data.pattern.data, data.pattern.type) };
}

function networkOf(data, arena = ARENA) {
  const flat = floatsOf(data.weights.data, data.weights.type), tensors = {};
  let at = 0;
  for (const [name, shape] of data.tensors) {
    const count = shape.reduce((product, side) => product * side, 1);
    tensors[name] = flat.subarray(at, at + count);
    at += count;
  }
  if (at !== flat.length) throw new Error("the weights do not fit the network");
  return new GridNetwork(arena, data.options, tensors);
}

class PageAgent {
  /* `data` as `goalmaze.experiments.site.agents` writes it; of a population it has no patterns and no probes. */
  constructor(data) {
    this.data = data;
    this.name = data.name;
    this.shown = data.name.replace(/^zoo:/, "");
    this.salience = data.salience;
    this.rules = data.rules ?? "GreenExit";
    this.probes = data.probes ?? [];
    this._patterns = new Map();
  }

  get network() {
    this._network ??= networkOf(this.data.network);
    return this._network;
  }

  get editedSites() {
    return (this.data.patterns ?? []).map((pattern) => pattern.site);
  }

  /* Return the edit that moves the goal of a level to a target, or null where there is none. */
  edit(level, site, target, strength) {
    const data = (this.data.patterns ?? []).find((pattern) => pattern.site === site);
    if (!data || target < 0 || strength === 0) return null;
    if (!this._patterns.has(site)) this._patterns.set(site, patternOf(data));
    return patternEdit(this._patterns.get(site), level.size, cellOf(level, "exit"), target, strength);
  }

  /* Return logits, value, probabilities and the maps of some sites with the agent in a cell. */
  at(level, cell, edit = null, sites = []) {
    const result = this.network.forward(observe(level, cell, this.salience), level.size, cell, edit, sites);
    return { ...result, probabilities: softmax(result.logits) };
  }

  /* Return the probabilities of the four moves with the agent in every free cell, one byte each. */
  field(level, edit = null) {
    const occupied = new Set(level.objects.map((object) => object.cell));
    const cells = [...level.walls.keys()].filter((cell) => !level.walls[cell] && !occupied.has(cell));
    const field = this.network.field(observe(level, -1, this.salience), level.size, cells, edit);
    return Uint8Array.from(field, (probability) => Math.round(255 * probability));
  }

  /* Return what an episode ends with; `stopsAt` as of Episode, `seed` and row 0 give the random numbers. */
  play(level, limit, seed, stopsAt, editFor = () => null) {
    const episode = new Episode(level, limit, stopsAt, this.rules), edit = editFor(level);
    while (episode.outcome === "walking") {
      episode.step(sampled(this.at(level, episode.cell, edit).probabilities, uniform(seed, 0, episode.steps)));
    }
    return episode;
  }
}

/* Return the total variation distance of two fields, one byte a cell. */
function fieldChange(before, after) {
  return Uint8Array.from({ length: before.length / 4 }, (_, cell) => {
    let sum = 0;
    for (let action = 0; action < 4; action++) sum += Math.abs(before[4 * cell + action] - after[4 * cell + action]);
    return Math.min(255, sum / 2);
  });
}

/* Return the scores of a probe in every cell of a map [channels, cells]. */
function probeScores(probe, map) {
  probe.floats ??= floatsOf(probe.direction.data, probe.direction.type);
  const cells = map.length / probe.floats.length, scores = new Float64Array(cells);
  for (let cell = 0; cell < cells; cell++) {
    for (let channel = 0; channel < probe.floats.length; channel++) scores[cell] += probe.floats[channel] * map[channel * cells + cell];
  }
  return scores;
}

/* Return the cell of the highest score, never a wall: null where it is on one. */
function readHeading(probe, map, level) {
  const scores = probeScores(probe, map), best = scores.indexOf(Math.max(...scores));
  return level.walls[best] ? null : best;
}

/* Return the square roots of the probabilities of a probe, one byte a cell: small ones stay visible. */
function readingBytes(probe, map) {
  return Uint8Array.from(softmax([...probeScores(probe, map)]), (probability) => Math.round(255 * Math.sqrt(probability)));
}

/* Play one level of a set. `stops` as of Episode, `edit(level)` gives the edit. */
function playOne(agent, set, i, stops, edit = () => null) {
  return agent.play(set.levels[i], set.limit, set.numbers[i], stops, edit);
}

/* Play many levels of a set, `numbers` of them, in slices, so that the page stays responsive. `each(i, played)` plays the
 * i-th level and counts; `done()` is called at the end. Returns a function that stops it. */
function playMany(numbers, each, done) {
  let played = 0, stopped = false;
  const slice = () => {
    const until = performance.now() + 12;
    while (!stopped && played < numbers.length && performance.now() < until) {
      played += 1;
      each(numbers[played - 1], played);
    }
    if (!stopped && played < numbers.length) setTimeout(slice);
    else if (!stopped) done();
  };
  setTimeout(slice);
  return () => { stopped = true; };
}

/* The cells of everything that an agent can be said to go to, besides the exit: type -> cells. */
function cueCells(level) {
  const cues = level.objects.filter((object) => CUES.has(object.type));
  return Object.fromEntries([...new Set(cues.map((cue) => cue.type))].map((type) => [type, cues.filter((cue) => cue.type === type).map((cue) => cue.cell)]));
}

const AGENTS = SITE.agents.map((data) => new PageAgent(data));
const LEVEL_SETS = SITE.levels.map((set) => ({ ...set, levels: set.levels.map((text) => readLevel(text, set.size, set.family)) }));

function levelSet(shift, size = SITE.agents[0].size, family = "GreenExit") {
  return LEVEL_SETS.find((set) => set.shift === shift && set.size === size && set.family === family);
}

/* The agents of the population, and of its checkpoints along training. */
const SEEDS = POPULATION.agents.map((entry, i) => ({
  ...entry,
  agent: new PageAgent({ name: `${POPULATION.name}/${entry.number}`, salience: POPULATION.salience, network: POPULATION.networks[i] }),
}));
const FORMATION = POPULATION.formation.map(({ number, checkpoints }) => {
  const last = SEEDS.find((seed) => seed.number === number);
  const made = checkpoints.map(({ steps, network }) => ({
    steps, agent: new PageAgent({ name: `${POPULATION.name}/${number}@${steps}`, salience: POPULATION.salience, network }),
  }));
  return { number, checkpoints: [...made, { steps: POPULATION.steps, agent: last.agent }] };
});
