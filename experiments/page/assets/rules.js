"use strict";
/* The rules of GreenExit: levels, observations, steps, and the random numbers that choose actions. */

const LETTERS = { E: ["exit"], S: ["sign"], G: ["exit", "sign"], P: ["apple"], R: ["red-sign"] };
const ACTION_NAMES = ["up", "right", "down", "left"];

/* Return a level from one character a cell; `size` characters are a row. */
function readLevel(text, size) {
  const level = { size, walls: new Uint8Array(size * size), start: -1, objects: [] };
  [...text].forEach((letter, cell) => {
    if (letter === "#") level.walls[cell] = 1;
    else if (letter === "A") level.start = cell;
    else if (letter !== ".") for (const type of LETTERS[letter]) level.objects.push({ type, cell });
  });
  return level;
}

function copyLevel(level) {
  return { ...level, walls: level.walls.slice(), objects: level.objects.map((object) => ({ ...object })) };
}

function cellOf(level, type) {
  return level.objects.find((object) => object.type === type)?.cell ?? -1;
}

/* Return the planes wall, agent, exit and sign, [4, cells]; no agent where `agent` is -1. An apple shows as a sign does,
 * a red sign nowhere. */
function observe(level, agent, salience) {
  const cells = level.size * level.size, planes = new Float32Array(4 * cells);
  planes.set(level.walls);
  if (agent >= 0) planes[cells + agent] = 1;
  for (const { type, cell } of level.objects) {
    if (type === "exit") planes[2 * cells + cell] = 1;
    else if (type !== "red-sign") planes[3 * cells + cell] = salience;
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

/* One episode. It ends at an exit and at the time limit, and also at the cells of `stopsAt`, name -> cell. */
class Episode {
  constructor(level, limit, stopsAt = {}) {
    Object.assign(this, { level, limit, stopsAt, trail: [level.start], returns: [0, 0], outcome: "walking", terminated: false });
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
    this.level.objects.forEach((object, number) => {
      if (object.cell !== there || this.entered.has(number)) return;
      this.entered.add(number);
      if (object.type === "exit") {
        this.returns[0] += 1;
        this.terminated = true;
      } else if (object.type !== "red-sign") this.returns[1] += 1;
    });
    /* An exit under its sign counts as the exit. */
    const stop = cellOf(this.level, "exit") === there ? "exit" : Object.keys(this.stopsAt).find((name) => this.stopsAt[name] === there);
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

/* Return the Wilson interval of a rate with 95 % confidence. */
function wilson(count, total) {
  if (!total) return [0, 1];
  const z = 1.959963984540054, rate = count / total, spread = (z * z) / total;
  const middle = (rate + spread / 2) / (1 + spread);
  const half = (z * Math.sqrt((rate * (1 - rate)) / total + spread / (4 * total))) / (1 + spread);
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}
