"use strict";
/* The `grid` networks: residual 3x3 convolutions at full resolution, read out at the agent's cell. */

/* Zero cells around every map, so that a window of any radius can be copied without asking for the border. */
const MARGIN = 7;

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/* Return the floats of base64 text of little-endian float32 or float16. */
function floatsOf(text, type) {
  const bytes = bytesOf(text);
  if (type === "float32") return new Float32Array(bytes.buffer);
  const halves = new Uint16Array(bytes.buffer), floats = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i], sign = half & 0x8000 ? -1 : 1, exponent = (half >> 10) & 31, fraction = half & 1023;
    if (exponent === 31) throw new Error("weights are not finite");
    floats[i] = exponent ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024) : sign * 2 ** -24 * fraction;
  }
  return floats;
}

/* Weights [out, in, 3, 3] as [3, 3, in, out]: the outputs of one input lie in a row. */
function repack(weights, cin, cout) {
  const packed = new Float32Array(weights.length);
  for (let o = 0; o < cout; o++) {
    for (let i = 0; i < cin; i++) {
      for (let k = 0; k < 9; k++) packed[(k * cin + i) * cout + o] = weights[(o * cin + i) * 9 + k];
    }
  }
  return packed;
}

function softmax(logits) {
  const most = Math.max(...logits), powers = logits.map((logit) => Math.exp(logit - most));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/* Maps for mazes of one size: every layer of the maze, and windows around a cell. Shared by all networks of one shape. */
class Workspace {
  constructor(arena, size, planes, channels, layers) {
    this.side = size + 2 * MARGIN;
    this.input = arena.allocate(this.side * this.side * planes);
    this.layers = Array.from({ length: layers }, () => arena.allocate(this.side * this.side * channels));
    this.near = [0, 1].map(() => arena.allocate((2 * MARGIN + 1) ** 2 * Math.max(planes, channels)));
  }
}

class GridNetwork {
  /* `options`: planes, channels, blocks, hidden; `tensors`: name -> floats. */
  constructor(arena, options, tensors) {
    Object.assign(this, options);
    this.arena = arena;
    const place = (floats) => {
      const pointer = arena.allocate(floats.length);
      arena.floats.set(floats, pointer >> 2);
      return pointer;
    };
    const { planes, channels, blocks } = options;
    const layer = (name, cin, residual) => ({
      weights: place(repack(tensors[`${name}.weight`], cin, channels)),
      bias: place(tensors[`${name}.bias`]),
      cin,
      convolve: arena.convolution(cin, channels, residual),
    });
    this.stem = layer("stem", planes, false);
    this.stack = Array.from({ length: blocks }, (_, i) => layer(`block${i + 1}.conv`, channels, true));
    this.heads = Object.fromEntries(["hidden.0", "policy", "value"].map((name) => [name, [tensors[`${name}.weight`], tensors[`${name}.bias`]]]));
    /* In the order of depth; `stem_relu` has a map of its own. */
    this.sites = ["stem", "stem_relu", ...Array.from({ length: blocks }, (_, i) => `block${i + 1}`)];
    if (Math.ceil((blocks + 1) / 2) + 1 > MARGIN) throw new Error(`a network of ${blocks} blocks is too deep for this page`);
  }

  _workspace(size) {
    const key = `${size} ${this.planes} ${this.channels} ${this.blocks}`;
    GridNetwork.workspaces ??= new Map();
    const known = GridNetwork.workspaces.get(this.arena) ?? new Map();
    GridNetwork.workspaces.set(this.arena, known);
    if (!known.has(key)) known.set(key, new Workspace(this.arena, size, this.planes, this.channels, this.sites.length));
    return known.get(key);
  }

  /* Compute every map of a maze into the workspace. `planes` [planes, cells]; `edit` adds to the map of its site. */
  _run(space, planes, size, edit) {
    const { floats } = this.arena, { side } = space, cells = size * size;
    const inner = (row) => ((row + MARGIN) * side + MARGIN);
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        const pixel = (space.input >> 2) + (inner(row) + column) * this.planes, cell = row * size + column;
        for (let plane = 0; plane < this.planes; plane++) floats[pixel + plane] = planes[plane * cells + cell];
      }
    }
    let from = space.input, cin = this.planes;
    this.sites.forEach((site, number) => {
      const to = space.layers[number], layer = number === 0 ? this.stem : this.stack[number - 2];
      if (number === 1) this._rectified(from, to, size, side);
      else {
        const start = 4 * cin * (inner(-1) - 1);
        layer.convolve(from + start, 4 * cin * side, to + 4 * this.channels * inner(0), 4 * this.channels * side, size, size, layer.weights, layer.bias);
      }
      if (edit && edit.site === site) this._add(edit, to, inner, size);
      [from, cin] = [to, this.channels];
    });
  }

  _rectified(from, to, size, side) {
    const { floats } = this.arena, width = size * this.channels;
    for (let row = 0; row < size; row++) {
      const at = ((row + MARGIN) * side + MARGIN) * this.channels;
      for (let i = at; i < at + width; i++) floats[(to >> 2) + i] = Math.max(0, floats[(from >> 2) + i]);
    }
  }

  /* Add an edit's map, channels last [cells, channels], and rectify where the site is rectified. */
  _add(edit, to, inner, size) {
    const { floats } = this.arena, width = size * this.channels;
    for (let row = 0; row < size; row++) {
      const at = (to >> 2) + inner(row) * this.channels;
      for (let i = 0; i < width; i++) {
        const sum = floats[at + i] + edit.delta[row * width + i];
        floats[at + i] = edit.rectified ? Math.max(0, sum) : sum;
      }
    }
  }

  /* Return logits and value, and with `sites` the maps [channels, cells] of these sites. */
  forward(planes, size, agent, edit = null, sites = []) {
    const space = this._workspace(size);
    this._run(space, planes, size, edit);
    const last = (space.layers[this.sites.length - 1] >> 2) + this._pixel(space, size, agent);
    const result = this._read(last);
    result.maps = Object.fromEntries(sites.map((site) => [site, this._map(space, size, site)]));
    return result;
  }

  _pixel(space, size, cell) {
    return ((Math.floor(cell / size) + MARGIN) * space.side + (cell % size) + MARGIN) * this.channels;
  }

  _map(space, size, site) {
    const { floats } = this.arena, cells = size * size, map = new Float32Array(this.channels * cells);
    const layer = space.layers[this.sites.indexOf(site)] >> 2;
    for (let cell = 0; cell < cells; cell++) {
      const pixel = layer + this._pixel(space, size, cell);
      for (let channel = 0; channel < this.channels; channel++) map[channel * cells + cell] = floats[pixel + channel];
    }
    return map;
  }

  /* The read-out of the features at a position of the memory. */
  _read(position) {
    const features = this.arena.floats.subarray(position, position + this.channels);
    const linear = ([weights, bias], input) => Array.from(bias, (sum, o) => {
      for (let i = 0; i < input.length; i++) sum += weights[o * input.length + i] * input[i];
      return sum;
    });
    const hidden = linear(this.heads["hidden.0"], features).map((unit) => Math.max(0, unit));
    return { logits: linear(this.heads.policy, hidden), value: linear(this.heads.value, hidden)[0] };
  }

  /* Return the probabilities of the four moves, [cells, 4], with the agent in each of `cells`; zero elsewhere.
   *
   * Only the agent's cell differs between these observations, so every layer differs only in a window around it. The
   * window grows with what differs and shrinks with what the last cell still depends on. `planes` show no agent.
   */
  field(planes, size, cells, edit = null) {
    const space = this._workspace(size), { floats } = this.arena, last = this.sites.length - 1;
    this._run(space, planes, size, edit);
    const probabilities = new Float32Array(4 * size * size);
    /* Radius of the window after the stem, its rectifier, and every block. */
    const radii = [1, ...Array.from({ length: this.blocks + 1 }, (_, i) => i + 1)].map((layer) => Math.min(layer, this.blocks + 1 - layer));
    for (const cell of cells) {
      const row = Math.floor(cell / size), column = cell % size;
      const agent = (space.input >> 2) + ((row + MARGIN) * space.side + column + MARGIN) * this.planes + 1;
      floats[agent] = 1;
      /* The stem reads the observation itself; its window is written to `from`. */
      let [from, to] = space.near, radius = radii[0];
      this._window(this.stem, space.input, row - radius - 1, column - radius - 1, space, from, radius);
      floats[agent] = 0;
      this._finish(from, radius, row, column, size, edit, "stem");
      for (let number = 1; number <= last; number++) {
        const next = radii[number], site = this.sites[number];
        if (number === 1) {
          const count = (2 * radius + 1) ** 2 * this.channels;
          for (let i = from >> 2; i < (from >> 2) + count; i++) if (floats[i] < 0) floats[i] = 0;
        } else {
          if (next + 1 > radius) this._widen(space, space.layers[number - 1], from, radius, to, next + 1, row, column);
          else [from, to] = [to, from];
          this._block(this.stack[number - 2], to, from, next);
          radius = next;
        }
        this._finish(from, radius, row, column, size, edit, site);
      }
      const middle = (from >> 2) + (2 * radius * (radius + 1)) * this.channels;
      probabilities.set(softmax(this._read(middle).logits), 4 * cell);
    }
    return probabilities;
  }

  /* Convolve a window of a map of the maze into `to`. */
  _window(layer, map, row, column, space, to, radius) {
    const from = map + 4 * layer.cin * ((row + MARGIN) * space.side + column + MARGIN), side = 2 * radius + 1;
    layer.convolve(from, 4 * layer.cin * space.side, to, 4 * this.channels * side, side, side, layer.weights, layer.bias);
  }

  _block(layer, from, to, radius) {
    const side = 2 * radius + 1, pixel = 4 * this.channels;
    layer.convolve(from, pixel * (side + 2), to, pixel * side, side, side, layer.weights, layer.bias);
  }

  /* Copy the window `from` into the middle of a window of radius `wide`, the rest from the map without the agent. */
  _widen(space, map, from, radius, to, wide, row, column) {
    const { floats } = this.arena, { channels } = this, side = 2 * wide + 1, inner = 2 * radius + 1, margin = wide - radius;
    for (let y = 0; y < side; y++) {
      const source = (map >> 2) + ((row - wide + y + MARGIN) * space.side + column - wide + MARGIN) * channels;
      floats.copyWithin((to >> 2) + y * side * channels, source, source + side * channels);
    }
    for (let y = 0; y < inner; y++) {
      const source = (from >> 2) + y * inner * channels, target = (to >> 2) + ((y + margin) * side + margin) * channels;
      floats.copyWithin(target, source, source + inner * channels);
    }
  }

  /* Add the edit to a window, and set what lies outside of the maze to zero, as a convolution of the maze sees it. */
  _finish(window, radius, row, column, size, edit, site) {
    const { floats } = this.arena, { channels } = this, side = 2 * radius + 1;
    const adds = edit && edit.site === site;
    const inside = row >= radius && column >= radius && row + radius < size && column + radius < size;
    if (inside && !adds) return;
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const r = row + y - radius, c = column + x - radius, at = (window >> 2) + (y * side + x) * channels;
        if (r < 0 || c < 0 || r >= size || c >= size) floats.fill(0, at, at + channels);
        else if (adds) {
          for (let i = 0; i < channels; i++) {
            const sum = floats[at + i] + edit.delta[(r * size + c) * channels + i];
            floats[at + i] = edit.rectified ? Math.max(0, sum) : sum;
          }
        }
      }
    }
  }
}

/* Return the edit that moves the goal: a pattern added around the target and subtracted around the goal. */
function patternEdit(pattern, size, goal, target, strength) {
  const { side, channels, floats } = pattern, middle = (side - 1) / 2, delta = new Float32Array(size * size * channels);
  for (const [cell, sign] of [[target, strength], [goal, -strength]]) {
    if (cell < 0) continue;
    const row = Math.floor(cell / size), column = cell % size;
    for (let r = Math.max(0, row - middle); r <= Math.min(size - 1, row + middle); r++) {
      for (let c = Math.max(0, column - middle); c <= Math.min(size - 1, column + middle); c++) {
        const from = ((r - row + middle) * side + c - column + middle) * channels, to = (r * size + c) * channels;
        for (let i = 0; i < channels; i++) delta[to + i] += sign * floats[from + i];
      }
    }
  }
  return { site: pattern.site, rectified: pattern.rectified, delta };
}
