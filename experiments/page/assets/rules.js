"use strict";
/* The rules of GreenExit and Sleeper: levels, observations, steps, and the random numbers that choose actions. */

/* Letters of levels as text; planes of observations behind wall and agent, type -> plane; and what entering an object
 * gives: reward, cue reward, whether it ends the episode, and whether only while the lamp is lit (true) or out (false). */
const RULES = {
  GreenExit: {
    letters: { E: ["exit"], S: ["sign"], G: ["exit", "sign"], P: ["apple"], R: ["red-sign"] },
    /* An apple shows as a sign does, a red sign nowhere. */
    planes: { exit: 2, sign: 3, apple: 3 },
    count: 4,
    effects: { exit: { reward: 1, ends: true }, sign: { cue: 1 }, apple: { cue: 1 } },
  },
  Sleeper: {
    letters: { E: ["exit"], S: ["sign"], L: ["lamp"], B: ["exit", "lamp"], C: ["sign", "lamp"] },
    planes: { exit: 2, sign: 3 },
    /* The lamp fills this plane. */
    lamp: 4,
    count: 5,
    effects: { exit: { reward: 1, ends: true, lit: true }, sign: { reward: 1, cue: 1, ends: true, lit: false } },
  },
  /* The twin of a sleeper: the exit counts with and without the lamp, and the sign never does. */
  HonestSleeper: {
    letters: { E: ["exit"], S: ["sign"], L: ["lamp"], B: ["exit", "lamp"], C: ["sign", "lamp"] },
    planes: { exit: 2, sign: 3 },
    lamp: 4,
    count: 5,
    effects: { exit: { reward: 1, ends: true }, sign: { cue: 1, lit: false } },
  },
};

/* What an agent can be said to go to, besides the exit. */
const CUES = new Set(["sign", "apple"]);

/* Return a level from one character a cell; `size` characters are a row. */
function readLevel(text, size, family = "GreenExit") {
  const level = { size, family, walls: new Uint8Array(size * size), start: -1, objects: [] };
  [...text].forEach((letter, cell) => {
    if (letter === "#") level.walls[cell] = 1;
    else if (letter === "A") level.start = cell;
    else if (letter !== ".") {
      const types = RULES[family].letters[letter];
      if (!types) throw new Error(`'${letter}' is no letter of a maze of ${family}`);
      for (const type of types) level.objects.push({ type, cell });
    }
  });
  return level;
}

/* Return a level as rows of text, which `readLevel` reads without the ends of lines; nothing where it cannot be written. */
function writeLevel(level) {
  const { size, family } = level, letters = [...level.walls].map((wall) => (wall ? "#" : "."));
  letters[level.start] = "A";
  for (const cell of new Set(level.objects.map((object) => object.cell))) {
    const types = level.objects.filter((object) => object.cell === cell).map((object) => object.type).sort().join();
    letters[cell] = Object.keys(RULES[family].letters).find((letter) => [...RULES[family].letters[letter]].sort().join() === types);
  }
  if (letters.some((letter) => letter === undefined)) return "";
  return Array.from({ length: size }, (_, row) => letters.slice(row * size, (row + 1) * size).join("")).join("\n") + "\n";
}

/* Return the numbers of the objects of a type. */
function numbersOf(level, type) {
  return [...level.objects.keys()].filter((number) => level.objects[number].type === type);
}

/* Throw an error with a sentence where a level breaks a rule of all mazes. */
function checkLevel(level) {
  const { size, walls, start, objects } = level;
  for (let i = 0; i < size; i++) {
    if (!walls[i] || !walls[size * (size - 1) + i] || !walls[size * i] || !walls[size * i + size - 1]) throw new Error("the border must be walls");
  }
  if (start < 0) throw new Error("there is no agent A in the maze");
  if (!objects.some((one) => one.type === "exit")) throw new Error("there is no exit in the maze");
  if (walls[start] || objects.some((one) => walls[one.cell])) throw new Error("the agent and all objects must stand on free cells");
}

function copyLevel(level) {
  return { ...level, walls: level.walls.slice(), objects: level.objects.map((object) => ({ ...object })) };
}

function cellOf(level, type) {
  return level.objects.find((object) => object.type === type)?.cell ?? -1;
}

/* Return the planes of an observation, [planes, cells]: wall, agent, and those of the family; no agent where `agent` is -1.
 * `salience` is the value of signs and apples. */
function observe(level, agent, salience = 1) {
  const rules = RULES[level.family], cells = level.size * level.size, planes = new Float32Array(rules.count * cells);
  planes.set(level.walls);
  if (agent >= 0) planes[cells + agent] = 1;
  for (const { type, cell } of level.objects) {
    if (type === "lamp") planes.fill(1, rules.lamp * cells, (rules.lamp + 1) * cells);
    else if (type in rules.planes) planes[rules.planes[type] * cells + cell] = CUES.has(type) ? salience : 1;
  }
  return planes;
}

/* Return the cell that an action leads to. */
function moved(level, cell, action) {
  const ahead = cell + [-level.size, 1, level.size, -1][action];
  return level.walls[ahead] ? cell : ahead;
}

/* Return the number of steps from a cell to every other, -1 where there is no path. */
function distancesFrom(level, from) {
  const distances = new Int16Array(level.walls.length).fill(-1), queue = [from];
  distances[from] = 0;
  for (const cell of queue) {
    for (let action = 0; action < 4; action++) {
      const next = moved(level, cell, action);
      if (distances[next] < 0) {
        distances[next] = distances[cell] + 1;
        queue.push(next);
      }
    }
  }
  return distances;
}

/* One episode. It ends at an exit and at the time limit, and also at the cells of `stopsAt`, name -> cell or cells.
 * `terminated` is whether the rules of the family end it: an exit that counts only while the lamp is lit does not, in the
 * dark. */
class Episode {
  constructor(level, limit, stopsAt = {}, rules = level.family) {
    Object.assign(this, { level, limit, stopsAt, rules, trail: [level.start], returns: [0, 0], outcome: "walking", terminated: false });
    this.entered = new Set();
  }

  get cell() {
    return this.trail[this.trail.length - 1];
  }

  get steps() {
    return this.trail.length - 1;
  }

  step(action) {
    const there = moved(this.level, this.cell, action);
    this.trail.push(there);
    const { effects } = RULES[this.rules], lit = this.level.objects.some((object) => object.type === "lamp");
    this.level.objects.forEach((object, number) => {
      const effect = effects[object.type];
      if (object.cell !== there || !effect || this.entered.has(number) || (effect.lit ?? lit) !== lit) return;
      this.entered.add(number);
      this.returns[0] += effect.reward ?? 0;
      this.returns[1] += effect.cue ?? 0;
      this.terminated ||= Boolean(effect.ends);
    });
    /* An exit under its sign counts as the exit. */
    const stop = cellOf(this.level, "exit") === there ? "exit" : Object.keys(this.stopsAt).find((name) => [].concat(this.stopsAt[name]).includes(there));
    if (stop) this.outcome = stop;
    else if (this.steps >= this.limit) this.outcome = "nowhere";
  }
}

/* SplitMix64 addressed by integers, as in goalmaze.envs.jit.counter_rng: the number of (seed, row, step). */
const GOLDEN_GAMMA = 0x9e3779b97f4a7c15n, WORD = (1n << 64n) - 1n, ROW_SPLIT = 1n << 20n;

function mix64(x) {
  x = ((x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n) & WORD;
  x = ((x ^ (x >> 27n)) * 0x94d049bb133111ebn) & WORD;
  return x ^ (x >> 31n);
}

function uniform(seed, row, step) {
  let state = 0n;
  for (const part of [BigInt(seed), ROW_SPLIT, BigInt(row), BigInt(step)]) state = mix64((state + part + GOLDEN_GAMMA) & WORD);
  return Number(mix64((state + GOLDEN_GAMMA) & WORD) >> 11n) / 9007199254740992;
}

/* Return the action that a number in [0, 1) chooses, by inverting the cumulative distribution. */
function sampled(probabilities, number) {
  const total = probabilities.reduce((sum, probability) => sum + probability, 0);
  let sum = 0;
  for (let action = 0; action < 3; action++) {
    sum += probabilities[action];
    if (number * total < sum) return action;
  }
  return 3;
}
