"use strict";
/* A stage: one or two agents in the same maze, with playback, a scrubber, and objects that can be dragged. */

const SPRITES = makeSprites(SITE.appearance);
const STAGES = [];
const STEPS_PER_SECOND = 8;
const THINGS = { agent: "agent", exit: "exit", sign: "sign", apple: "apple", "red-sign": "red sign", target: "target", wall: "wall" };

/* Return an element with attributes, properties that begin with a dot, and children. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith(".")) made[name.slice(1)] = value;
    else if (value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function byId(id) {
  return document.getElementById(id);
}

function percent(rate) {
  return `${Math.round(100 * rate)}\u00a0%`;
}

function placeText(level, cell) {
  return `row ${Math.floor(cell / level.size)}, column ${cell % level.size}`;
}

class Stage {
  /* `options`: prefix (of ids), sides [{ key, title, note, agent, edited }], tools [{ key, label, moves }], level (as
   * `setLevel` takes it), and optionally view, site, strength, bars, onChange(stage), onNext(). */
  constructor(host, options) {
    Object.assign(this, { site: "stem", strength: 1, speed: STEPS_PER_SECOND, onChange: () => {}, ...options });
    this.view = { arrows: "policy", overlay: "none", channel: 0, cursor: -1, ...options.view };
    this.tool = this.tools[0];
    this.undoable = [];
    this._build(host);
    STAGES.push(this);
    this.setLevel(options.level);
  }

  id(name) {
    return `${this.prefix}-${name}`;
  }

  _build(host) {
    this.boards = element("div", { class: "boards" });
    this.host = host;
    this.canvases = {};
    for (const side of this.sides) {
      const canvas = element("canvas", { id: this.id(side.key), tabindex: "0", role: "application" });
      const outcome = element("output", { class: "outcome", id: this.id(`outcome-${side.key}`) });
      const title = element("b", {}, side.title), note = element("span", {}, side.note);
      const figure = element("figure", { class: side.edited ? "edited" : "" }, element("figcaption", {}, title, " ", note, outcome), canvas);
      this.canvases[side.key] = { canvas, outcome, title, note, figure };
      if (this.bars) {
        this.canvases[side.key].bars = element("div", { class: "bars", role: "group", "aria-label": `${side.title}: probability of each move here` });
        figure.append(this.canvases[side.key].bars);
      }
      this.boards.append(figure);
      this._listen(canvas, side.key);
    }
    const button = (name, text, act) => element("button", { type: "button", id: this.id(name), ".onclick": act }, text);
    this.playButton = button("play", "▶ Play", () => this.play(!this.playing));
    this.playButton.classList.add("main");
    this.scrubber = element("input", { type: "range", min: "0", max: "1", value: "0", id: this.id("scrubber"), ".oninput": () => this.show(Number(this.scrubber.value)) });
    this.clock = element("output", { class: "clock" });
    const restart = button("restart", "Restart", () => this.show(0));
    const next = this.onNext ? [button("next", "Another maze", () => this.onNext())] : [];
    const undo = button("undo", "Undo", () => this.undo());
    this.undoButton = undo;
    undo.disabled = true;
    const scrub = element("label", { class: "speed" }, "Step ", this.scrubber, this.clock);
    this.toolbox = element("span", { class: "tools", role: "radiogroup", "aria-label": "What a drag, a tap or the arrow keys move" });
    this.caption = element("p", { class: "caption", id: this.id("caption") });
    this.status = element("p", { class: "visually-hidden", role: "status" });
    host.append(
      this.boards,
      element("div", { class: "bar", role: "group", "aria-label": "Playback" }, this.playButton, restart, ...next, undo, scrub),
      element("div", { class: "bar" }, this.toolbox), this.caption, this.status,
    );
    this._buildTools();
  }

  _buildTools() {
    this.toolbox.replaceChildren(...this.tools.map((tool) => element("button", {
      type: "button", role: "radio", id: this.id(`tool-${tool.key}`), "aria-checked": String(tool === this.tool), tabindex: tool === this.tool ? "0" : "-1",
      ".onclick": () => this.choose(tool),
      ".onkeydown": (event) => {
        const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (!by) return;
        event.preventDefault();
        this.choose(this.tools[(this.tools.indexOf(tool) + by + this.tools.length) % this.tools.length]);
        this.toolbox.querySelector('[aria-checked="true"]').focus();
      },
    }, `Move the ${tool.label}`)));
    if (this.tools.some((tool) => tool.key === "wall")) byId(this.id("tool-wall")).textContent = "Draw walls";
  }

  choose(tool) {
    this.tool = tool;
    for (const button of this.toolbox.children) {
      const chosen = button.id === this.id(`tool-${tool.key}`);
      button.setAttribute("aria-checked", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
    }
  }

  /* `given`: level, limit, row (of the random numbers), target, about (a sentence), byHand. */
  setLevel(given) {
    Object.assign(this, { target: -1, byHand: false, row: 0, ...given, level: copyLevel(given.level) });
    if (!this.sides.some((side) => side.edited)) this.target = -1;
    this.undoable = [];
    this.changed();
  }

  /* What must be computed again after the level, the target, the edit or an agent changed. */
  changed() {
    this.play(false);
    this._episodes = null;
    this.at = 0;
    this.part = 1;
    const fields = this._fields ?? {};
    this._fields = {};
    for (const side of this.sides) {
      const edit = this._edit(side), key = `${side.agent.name} ${this._levelKey()} ${edit ? `${this.target} ${this.site} ${this.strength}` : ""}`;
      /* The field of an agent that a drag does not concern is kept. */
      const kept = fields[side.key]?.id === key ? fields[side.key] : { id: key, field: side.agent.field(this.level, edit) };
      this._fields[side.key] = kept;
    }
    this.undoButton.disabled = !this.undoable.length;
    this.draw();
    this.onChange(this);
  }

  _levelKey() {
    return `${this.level.size} ${this.level.walls.join("")} ${this.level.objects.map((object) => object.type + object.cell).join()}`;
  }

  _edit(side) {
    return side.edited ? side.agent.edit(this.level, this.site, this.target, this.strength) : null;
  }

  stopsAt(side) {
    const stops = {};
    if (side.edited && this.target >= 0) stops.target = this.target;
    else for (const object of this.level.objects) if (object.type !== "exit" && object.type !== "red-sign") stops[object.type] = object.cell;
    return stops;
  }

  /* Play the whole episode of every side, once for each state of the level. */
  get episodes() {
    this._episodes ??= Object.fromEntries(this.sides.map((side) => {
      const edit = this._edit(side);
      return [side.key, side.agent.play(this.level, this.limit, this.row, this.stopsAt(side), () => edit)];
    }));
    return this._episodes;
  }

  get last() {
    return Math.max(...Object.values(this.episodes).map((episode) => episode.steps));
  }

  show(at, part = 1) {
    this.at = Math.max(0, Math.min(at, this.last));
    this.part = part;
    this.draw();
    if (this.at === this.last && part === 1) this.status.textContent = this.sides.map((side) => `${side.title}: ${this._outcome(side)}`).join(". ");
  }

  play(on) {
    this.playing = on;
    this.playButton.textContent = on ? "❚❚ Pause" : "▶ Play";
    this.playButton.setAttribute("aria-pressed", String(on));
    if (!on) return;
    let begin = null;
    const first = this.at >= this.last ? 0 : this.at;
    const tick = (now) => {
      if (!this.playing) return;
      begin ??= now;
      const position = Math.min(this.last, first + ((now - begin) / 1000) * this.speed), step = Math.ceil(position);
      this.show(step, reduced || step === position ? 1 : position - step + 1);
      if (position < this.last) requestAnimationFrame(tick);
      else this.play(false);
    };
    requestAnimationFrame(tick);
  }

  _outcome(side) {
    const frame = this._side(side);
    return outcomeText(frame, this.limit);
  }

  _side(side) {
    const episode = this._episodes?.[side.key], trail = episode ? episode.trail.slice(0, this.at + 1) : [this.level.start];
    const over = episode && this.at >= episode.steps;
    return { agent: trail[trail.length - 1], trail, outcome: over ? episode.outcome : "walking", objects: this.level.objects, probabilities: this._fields[side.key].field };
  }

  /* Return the scene at this moment as `drawBoard` takes it. */
  scene() {
    const sides = Object.fromEntries(this.sides.map((side) => [side.key, this._side(side)]));
    const scene = { height: this.level.size, width: this.level.size, walls: this.level.walls.join(""), target: this.target, sides };
    const [plain, edited] = this.sides;
    if (edited?.edited) scene.changed = fieldChange(this._fields[plain.key].field, this._fields[edited.key].field);
    const inspected = this.view.overlay === "channel" || this.view.overlay === "reading" || this.bars;
    if (inspected) for (const side of this.sides) this._inspect(side, sides[side.key]);
    return scene;
  }

  _inspect(side, frame) {
    const site = this.view.site ?? "stem", result = side.agent.at(this.level, frame.agent, this._edit(side), [site]);
    Object.assign(frame, { here: result.probabilities, value: result.value, map: result.maps[site] });
    frame.maps = normalised(result.maps[site], side.agent.network.channels);
    const probe = side.agent.probes.find((one) => one.site === site);
    const heading = this.view.overlay === "reading" && probe?.above ? readHeading(probe, frame.map, this.level) : null;
    if (heading !== null) frame.heading = heading;
  }

  draw() {
    const scene = this.scene();
    this.scrubber.max = this._episodes ? this.last : this.limit;
    this.scrubber.value = this.at;
    this.scrubber.setAttribute("aria-valuetext", `step ${this.at}`);
    this.clock.textContent = this.at;
    for (const side of this.sides) {
      const frame = scene.sides[side.key], { canvas, outcome, bars } = this.canvases[side.key];
      drawBoard(canvas, scene, side.key, SPRITES, this.view, this.at < frame.trail.length ? this.part : 1);
      showOutcome(outcome, frame, this.limit);
      canvas.setAttribute("aria-label", this._boardText(side, frame));
      if (bars) showBars(bars, frame);
    }
    this.caption.textContent = [this.byHand ? "This maze was edited by hand." : this.about, this._untrained()].filter(Boolean).join(" ");
    this.onDraw?.(scene);
  }

  _untrained() {
    const size = this.level.size;
    return this.sides.some((side) => side.agent.data.size && side.agent.data.size !== size) ? `The agent was never trained at ${size}×${size}.` : "";
  }

  _boardText(side, frame) {
    const things = this.level.objects.map((object) => `${THINGS[object.type]} in ${placeText(this.level, object.cell)}`);
    if (this.target >= 0) things.push(`target in ${placeText(this.level, this.target)}`);
    return `Maze (${side.title.toLowerCase()}): agent in ${placeText(this.level, frame.agent)}, ${things.join(", ")}; ${outcomeText(frame, this.limit)}. `
      + `The arrow keys move the ${this.tool.label}.`;
  }

  _cellAt(canvas, event) {
    const box = canvas.getBoundingClientRect(), { size } = this.level;
    const index = (at, start, length) => Math.max(0, Math.min(size - 1, Math.floor(((at - start) / length) * size)));
    return index(event.clientY, box.top, box.height) * size + index(event.clientX, box.left, box.width);
  }

  /* Return the tool that moves what is in a cell. */
  _toolAt(cell) {
    const there = new Set(this.level.objects.filter((object) => object.cell === cell).map((object) => object.type));
    if (this.level.start === cell) there.add("agent");
    if (this.target === cell) there.add("target");
    return this.tools.find((tool) => tool === this.tool && tool.moves.some((what) => there.has(what)))
      ?? this.tools.find((tool) => tool.moves.some((what) => there.has(what)));
  }

  _listen(canvas, key) {
    let dragged = null, wall = 0;
    canvas.onpointerdown = (event) => {
      if (event.button) return;
      const cell = this._cellAt(canvas, event);
      if (this.tool.key === "wall") wall = this.level.walls[cell] ? 0 : 1;
      else this.choose(this._toolAt(cell) ?? this.tool);
      dragged = this.tool;
      canvas.setPointerCapture(event.pointerId);
      canvas.classList.add("dragging");
      this.remember();
      this.move(dragged, cell, wall);
    };
    canvas.onpointermove = (event) => {
      if (dragged) this._soon(() => dragged && this.move(dragged, this._cellAt(canvas, event), wall));
    };
    canvas.onpointerup = canvas.onpointercancel = (event) => {
      if (dragged && event.type === "pointerup") this.move(dragged, this._cellAt(canvas, event), wall);
      dragged = null;
      canvas.classList.remove("dragging");
    };
    canvas.onkeydown = (event) => this._key(event);
  }

  /* Of several moves before the next frame only the last one counts. */
  _soon(act) {
    if (!this._pending) requestAnimationFrame(() => { this._pending(); this._pending = null; });
    this._pending = act;
  }

  _key(event) {
    const action = { ArrowUp: 0, ArrowRight: 1, ArrowDown: 2, ArrowLeft: 3 }[event.key];
    if (event.key === " ") this.play(!this.playing);
    else if (event.key === ".") this.show(this.at + 1);
    else if (event.key === "u") this.undo();
    else if (event.key === "Escape") this.play(false);
    else if (action === undefined || event.ctrlKey || event.metaKey) return;
    else this._moveBy(action);
    event.preventDefault();
  }

  /* Move what is chosen to the next free cell in a direction, over walls where needed. */
  _moveBy(action) {
    if (this.tool.key === "wall") return;
    const [right, down] = MOVES[action], { size } = this.level;
    const from = this._positionOf(this.tool.moves[0]);
    for (let row = Math.floor(from / size) + down, column = (from % size) + right; row > 0 && column > 0 && row < size - 1 && column < size - 1; row += down, column += right) {
      this.remember();
      if (this.move(this.tool, row * size + column)) return;
    }
  }

  _positionOf(what) {
    if (what === "agent") return this.level.start;
    return what === "target" ? this.target : cellOf(this.level, what);
  }

  remember() {
    this._before = { level: copyLevel(this.level), target: this.target, byHand: this.byHand };
  }

  /* A drag is one entry to undo, made by its first change. */
  _commit() {
    if (this._before) this.undoable.push(this._before);
    this._before = null;
    this.changed();
    return true;
  }

  undo() {
    const before = this.undoable.pop();
    if (before) Object.assign(this, before);
    this.changed();
  }

  /* Move what a tool moves to a cell, and return whether anything changed. */
  move(tool, cell, wall = 0) {
    const { level } = this;
    if (tool.key === "wall") return this._drawWall(cell, wall);
    if (level.walls[cell] || cell === this._positionOf(tool.moves[0])) return false;
    const object = tool.moves[0] !== "agent" && tool.moves[0] !== "target";
    if (object && cell === level.start) return false;
    if (tool.moves[0] === "agent" && level.objects.some((one) => one.cell === cell)) return false;
    if (tool.moves[0] === "target" && (cell === level.start || cell === cellOf(level, "exit"))) return false;
    if (tool.moves[0] === "exit" && cell === this.target) return false;
    for (const what of tool.moves) {
      if (what === "agent") level.start = cell;
      else if (what === "target") this.target = cell;
      else level.objects.find((one) => one.type === what).cell = cell;
    }
    if (tool.key !== "target") this.byHand = true;
    return this._commit();
  }

  _drawWall(cell, wall) {
    const { level } = this, row = Math.floor(cell / level.size), column = cell % level.size;
    const border = row === 0 || column === 0 || row === level.size - 1 || column === level.size - 1;
    const occupied = cell === level.start || cell === this.target || level.objects.some((object) => object.cell === cell);
    if (border || occupied || level.walls[cell] === wall) return false;
    level.walls[cell] = wall;
    this.byHand = true;
    return this._commit();
  }
}

/* Return every channel of a map scaled to bytes by its own range. */
function normalised(map, channels) {
  const cells = map.length / channels, bytes = new Uint8Array(map.length);
  for (let channel = 0; channel < channels; channel++) {
    const values = map.subarray(channel * cells, (channel + 1) * cells), low = Math.min(...values), span = Math.max(...values) - low;
    if (span > 0) values.forEach((value, cell) => { bytes[channel * cells + cell] = Math.round((255 * (value - low)) / span); });
  }
  return bytes;
}

/* Show the probability of each move in the agent's cell. */
function showBars(host, frame) {
  if (!host.children.length) {
    host.append(...ACTION_NAMES.map((name, action) => element("label", {}, `${"↑→↓←"[action]} ${name} `, element("meter", { min: "0", max: "1" }), element("output"))));
  }
  [...host.children].forEach((row, action) => {
    row.querySelector("meter").value = frame.here[action];
    row.querySelector("output").textContent = percent(frame.here[action]);
  });
}

function redrawAll() {
  for (const stage of STAGES) if (stage.boards.clientWidth) stage.draw();
}
