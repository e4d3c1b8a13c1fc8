"use strict";
/* A stage: one or two agents in the same maze, with playback, a scrubber, and objects that can be dragged. It shows the
 * states of a back end and sends it messages; `LocalSession` and `SocketBackEnd` are the two back ends. */

const STAGES = [];
/* Messages of drags and sliders that may be without an answer. */
const MAX_UNANSWERED = 2;
const STEPS_PER_SECOND = 8;
let dragNumber = Date.now();

/* The number of a new drag: all changes with one number are undone together. */
function newDrag() {
  dragNumber += 1;
  return dragNumber;
}

function outcomesText(scene) {
  return Object.entries(scene.sides).map(([name, side]) => `${scene.names?.[name] ?? name} ${outcomeText(side, scene.limit)}`).join(", ");
}

class Stage {
  /* `options`: prefix (of ids), appearance() (shapes and colours of objects), send(message), ready() (whether the back end takes another
   * message of a drag), tools(state) -> [{ key, label, moves }], titles(state) -> key -> [title, note], and optionally view,
   * bars, full (all controls of playback), after(stage) (when an episode has ended), hand (what makes a maze hand-made). */
  constructor(host, options) {
    Object.assign(this, { prefix: "", pace: STEPS_PER_SECOND, ready: () => true, after: () => {}, onDraw: () => {}, ...options });
    this.view = { arrows: "policy", overlay: "none", channel: 0, cursor: -1, ...options.view };
    Object.assign(this, { state: null, frames: [], at: 0, wanted: -1, playing: false, tool: null, drag: null, shownAt: 0 });
    this._waiting = {};
    this._build(host);
    STAGES.push(this);
  }

  id(name) {
    return this.prefix ? `${this.prefix}-${name}` : name;
  }

  /* ---- elements ---- */
  _build(host) {
    this.boards = element("div", { class: "boards", id: this.id("boards") });
    this.canvases = {};
    for (const key of ["unedited", "edited"]) {
      const canvas = element("canvas", { id: this.id(key), tabindex: "0", role: "application" });
      const outcome = element("output", { class: "outcome", id: this.id(`outcome-${key}`) }), title = element("b"), note = element("span");
      const figure = element("figure", { id: this.id(`figure-${key}`) }, element("figcaption", {}, title, " ", note, outcome), canvas);
      this.canvases[key] = { canvas, outcome, title, note, figure };
      if (this.bars) {
        this.canvases[key].bars = element("div", { class: "bars", id: this.id(`bars-${key}`), role: "group" });
        figure.append(this.canvases[key].bars);
      }
      this.boards.append(figure);
      this._listen(canvas, key);
    }
    host.prepend(this.boards, this._transport(), this._toolbar());
  }

  _button(name, text, act, attributes = {}) {
    return element("button", { type: "button", id: this.id(name), ".onclick": () => { if (this.state) act(); }, ...attributes }, text);
  }

  _transport() {
    const keys = this.keys();
    this.playButton = this._button("play", "▶ Play", keys[" "], { class: "main", "aria-pressed": "false" });
    this.undoButton = this._button("undo", "Undo", keys.u);
    this.undoButton.disabled = true;
    this.scrubber = element("input", { type: "range", min: "0", max: "1", value: "0", id: this.id("scrubber"), "aria-label": "Step of the episode", ".oninput": () => this.seek(Number(this.scrubber.value)) });
    this.clock = element("output", { class: "clock", id: this.id("clock") });
    const bar = element("div", { class: "bar transport", role: "group", "aria-label": "Playback" }, this.playButton);
    if (this.full) bar.append(this._button("step", "Step", keys["."]));
    bar.append(this._button("restart", "Restart", keys.r));
    if (keys.n) bar.append(this._button("next", this.full ? "Next" : "Another maze", keys.n, { title: "next level" }));
    bar.append(this.undoButton, element("label", { class: "speed scrub" }, "Time ", this.scrubber), this.clock);
    if (this.full) {
      this.speed = element("input", { type: "range", min: "1", max: "20", value: String(STEPS_PER_SECOND), id: this.id("speed"), "aria-label": "Steps per second" });
      bar.append(element("label", { class: "speed" }, "Speed ", this.speed));
    }
    return bar;
  }

  _toolbar() {
    this.toolbox = element("span", { class: "tools", id: this.id("tools"), role: "radiogroup", "aria-label": "The object that a drag, a tap or the arrow keys move", ".onkeydown": (event) => this._toolKey(event) });
    this.hint = element("span", { class: "hint", id: this.id("hint") });
    this.caption = element("p", { class: "caption", id: this.id("caption") });
    this.status = element("p", { class: "visually-hidden", role: "status" });
    const bar = element("div", { class: "bar toolbar" }, this.toolbox);
    if (this.full) bar.append(this.hint);
    return element("div", {}, bar, this.caption, this.status);
  }

  _toolKey(event) {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key], list = this._list;
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(list[(list.indexOf(this.tool) + by + list.length) % list.length]);
    this.toolbox.querySelector('[aria-checked="true"]').focus();
  }

  _showTools() {
    const list = this.tools(this.state), key = list.map((tool) => tool.key).join();
    this._list = list;
    this.tool = list.find((tool) => tool.key === this.tool?.key) ?? list[0];
    if (this.toolbox.dataset.list !== key) {
      this.toolbox.dataset.list = key;
      this.toolbox.replaceChildren(...list.map((tool, i) => element("button", {
        type: "button", role: "radio", id: this.id(`tool-${tool.key}`), title: `key ${i + 1}`, "data-tool": tool.key, ".onclick": () => this.choose(tool),
      }, toolIcon(tool.moves[0], this.appearance()), tool.label)));
    }
    for (const button of this.toolbox.children) {
      const chosen = button.dataset.tool === this.tool.key;
      button.setAttribute("aria-checked", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
    }
    const wall = this.tool.key === "wall", what = this.tool.name ?? this.tool.key;
    for (const { canvas } of Object.values(this.canvases)) canvas.classList.toggle("walls", wall);
    this.hint.textContent = wall ? "Drag to add walls; start on a wall to remove walls." : `Drag the ${what}, or tap its new cell.`;
  }

  choose(tool) {
    this.tool = tool;
    if (tool.key !== "wall") this.view.cursor = -1;
    else if (this.view.cursor < 0) this.view.cursor = this.state.start;
    this._showTools();
    this.repaint();
  }

  /* ---- states and frames ---- */
  /* The frames of this episode by its steps; a state of an earlier step begins the episode anew. */
  show(state) {
    const steps = stepsOf(state), following = this.at >= this.frames.length - 1, grew = this.state && steps === stepsOf(this.state) + 1;
    this.state = state;
    this._awaited &&= state.finished;
    this.frames.length = Math.min(this.frames.length, steps);
    this.frames[steps] = state;
    if (following || !grew) {
      this.at = steps;
      if (grew) this.shownAt = performance.now();
    }
    if (this.wanted >= 0) this._seekOn();
    this._showTools();
    this.draw();
    if (state.finished && this.at === steps && this.status.dataset.said !== outcomesText(state)) this._announce(outcomesText(state));
    if (!state.finished) delete this.status.dataset.said;
  }

  _announce(text) {
    this.status.dataset.said = text;
    this.status.textContent = `${capitalised(text)}.`;
    if (this.full) showStatus(this.status.textContent);
  }

  /* The frame on the screen: the last one at or before `at`, as not every step has come. */
  get frame() {
    for (let i = Math.min(this.at, this.frames.length - 1); i >= 0; i--) if (this.frames[i]) return this.frames[i];
    return this.state;
  }

  /* Show a step of the episode; steps that were not made yet are made now. */
  seek(at) {
    this.play(false);
    const last = this.frames.length - 1;
    this.wanted = at > last && !this.state.finished ? at : -1;
    this.at = Math.min(at, last);
    this.draw();
    if (this.wanted >= 0) this.send({ do: "step" });
  }

  _seekOn() {
    this.at = this.frames.length - 1;
    if (this.at >= this.wanted || this.state.finished) this.wanted = -1;
    else this.send({ do: "step" });
  }

  step() {
    if (this.at < this.frames.length - 1) {
      this.at += 1;
      this.shownAt = performance.now();
      this.draw();
    } else if (!this.state.finished) this.send({ do: "step" });
  }

  play(on) {
    const begins = on && !this.playing;
    this.playing = on && Boolean(this.state);
    this.playButton.textContent = this.playing ? "❚❚ Pause" : "▶ Play";
    this.playButton.setAttribute("aria-pressed", String(this.playing));
    this._awaited = false;
    if (!begins) return;
    this.wanted = -1;
    if (this.state.finished && this.at >= this.frames.length - 1) {
      /* Until the answer has come, the old episode is still there. */
      this._awaited = true;
      if (this.full && !this.state.by_hand) this.after(this);
      else this.send({ do: "restart" });
    }
    this._tick();
  }

  get rate() {
    return this.speed ? Number(this.speed.value) : this.pace;
  }

  _tick() {
    if (!this.playing) return;
    const ended = this.state.finished && this.at >= this.frames.length - 1 && !this._awaited;
    if (ended) {
      this._awaited = true;
      this.after(this);
      if (!this.playing) return;
    } else if (!this._awaited && this.ready() && !this.drag) this.step();
    setTimeout(() => this._tick(), ended ? 1100 : 1000 / this.rate);
  }

  /* ---- drawing ---- */
  draw() {
    const { state, frame } = this;
    if (!state) return;
    const last = state.finished ? stepsOf(state) : state.limit, titles = this.titles(state);
    this.scrubber.max = last;
    this.scrubber.value = this.at;
    this.scrubber.setAttribute("aria-valuetext", `step ${this.at}`);
    this.clock.textContent = `step ${this.at} of ${state.limit}`;
    this.undoButton.disabled = !state.undo;
    this.boards.classList.toggle("single", !state.sides.edited);
    for (const [key, { figure, title, note, outcome, canvas, bars }] of Object.entries(this.canvases)) {
      const side = frame.sides[key];
      figure.hidden = !side;
      if (!side) continue;
      [title.textContent, note.textContent] = titles[key];
      note.title = titles[key][1];
      figure.classList.toggle("edited", key === "edited" && state.target >= 0);
      showOutcome(outcome, side, state.limit);
      canvas.setAttribute("aria-label", `Maze of the ${titles[key].join(", ")}. ${describe(frame, side)}`);
      if (bars) {
        bars.setAttribute("aria-label", `${titles[key][0]}: probability of each move in the agent's cell`);
        showBars(bars, side);
      }
    }
    this.caption.textContent = [state.about || (state.by_hand ? "This maze was edited by hand." : ""), state.untrained].filter(Boolean).join(" ");
    this.onDraw(frame, this);
    this.repaint();
  }

  repaint() {
    if (this._painting) return;
    this._painting = true;
    requestAnimationFrame((now) => this.paint(now));
  }

  paint(now = Infinity) {
    this._painting = false;
    const { frame } = this;
    if (!frame) return;
    const length = reduced || this.drag ? 0 : Math.min(160, 700 / this.rate);
    const part = length ? Math.min(1, Math.max(0, (now - this.shownAt) / length)) : 1;
    for (const [key, side] of Object.entries(frame.sides)) {
      const moving = stepsOf(frame) === side.trail.length - 1;
      drawBoard(this.canvases[key].canvas, frame, key, spritesOf(this.appearance()), this.view, moving ? part : 1);
    }
    this.onPaint?.();
    if (part < 1) this.repaint();
  }

  /* ---- messages of drags and sliders: at most one of each name in a frame of the screen, the latest ---- */
  soon(name, message) {
    this._waiting[name] = message;
    this.sendSoon();
  }

  sendSoon() {
    if (this._sending || !Object.keys(this._waiting).length) return;
    this._sending = true;
    requestAnimationFrame(() => this.flush());
  }

  flush() {
    this._sending = false;
    if (!this.ready()) return;
    const waiting = Object.entries(this._waiting);
    this._waiting = {};
    for (const [, message] of waiting) this.send(message);
  }

  /* ---- dragging ---- */
  _cellAt(canvas, event) {
    const box = canvas.getBoundingClientRect(), { width, height } = this.state;
    const column = Math.floor(((event.clientX - box.left) / box.width) * width), row = Math.floor(((event.clientY - box.top) / box.height) * height);
    return row < 0 || column < 0 || row >= height || column >= width ? -1 : row * width + column;
  }

  /* Return what a drag from a cell moves, { tool, which }: first an object of the chosen tool, then target, agent and the
   * top object. */
  _thingAt(cell, key) {
    const side = this.frame.sides[key], here = side.objects.filter((object) => object.cell === cell).reverse(), things = [];
    if (cell === this.state.target) things.push({ type: "target", which: 0 });
    if (cell === side.agent || cell === this.state.start) things.push({ type: "agent", which: 0 });
    things.push(...here);
    const moved = (tool) => things.find((thing) => tool.moves.includes(thing.type));
    if (moved(this.tool)) return { tool: this.tool, which: moved(this.tool).which };
    for (const { type, which } of things) {
      const tool = this._list.find((one) => one.moves.includes(type));
      if (tool) return { tool, which };
    }
    return null;
  }

  _canStand(type, cell) {
    const { walls, start, sides } = this.state, { objects } = sides.unedited;
    if (cell < 0 || walls[cell] === "1") return false;
    if (type === "target") return true;
    if (type === "agent") return !objects.some((object) => object.cell === cell);
    return cell !== start && !objects.some((object) => object.type === type && object.cell === cell);
  }

  /* Move what a tool moves to a cell. Of one drag only the last cell counts. */
  moveTo(tool, cell, which = 0) {
    if (!tool.moves.every((what) => this._canStand(what, cell) || this._positionOf(what) === cell)) return false;
    for (const what of tool.moves) this.soon(`move ${what}`, { do: "move", what, which, cell, drag: dragNumber });
    return true;
  }

  _drawWall(cell) {
    if (cell < 0 || this.drag.last === cell) return;
    this.drag.last = cell;
    const { up } = this.drag;
    if ((this.state.walls[cell] === "1") !== up) this.send({ do: "wall", cell, up, drag: dragNumber });
  }

  _listen(canvas, key) {
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.state || event.button) return;
      const cell = this._cellAt(canvas, event);
      if (cell < 0) return;
      event.preventDefault();
      canvas.focus({ preventScroll: true });
      canvas.setPointerCapture(event.pointerId);
      newDrag();
      if (this.tool.key === "wall") {
        this.drag = { key, up: this.state.walls[cell] !== "1", last: -1 };
        this._drawWall(cell);
        return;
      }
      const thing = this._thingAt(cell, key);
      if (thing) this.choose(thing.tool);
      else this.moveTo(this.tool, cell);
      this.drag = { key, tool: this.tool, which: thing?.which ?? 0, last: cell };
      canvas.classList.add("dragging");
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.drag?.key !== key) return;
      const cell = this._cellAt(canvas, event);
      if (!this.drag.tool) this._drawWall(cell);
      else if (cell !== this.drag.last) {
        this.drag.last = cell;
        this.moveTo(this.drag.tool, cell, this.drag.which);
      }
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, () => {
        this.drag = null;
        canvas.classList.remove("dragging");
      });
    }
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  /* ---- keys ---- */
  _positionOf(what) {
    if (what === "target") return this.state.target;
    return what === "agent" ? this.state.start : this.state.sides.unedited.objects.find((object) => object.type === what)?.cell ?? -1;
  }

  /* Move the chosen object to the next cell in a direction on which it can stand. */
  moveBy(right, down) {
    const { width, height, walls } = this.state, wall = this.tool.key === "wall";
    const from = wall ? this.view.cursor : this._positionOf(this.tool.moves[0]);
    let column = (from % width) + right, row = Math.floor(from / width) + down;
    while (row >= 0 && column >= 0 && row < height && column < width) {
      const cell = row * width + column;
      if (wall) {
        this.view.cursor = cell;
        this.repaint();
        showStatus(`${place(this.state, cell)}: ${walls[cell] === "1" ? "wall" : "floor"}`);
        return;
      }
      if (this.moveTo(this.tool, cell)) return;
      [column, row] = [column + right, row + down];
    }
  }

  /* What each key does, by its name. */
  keys() {
    const wall = () => {
      newDrag();
      this.send({ do: "wall", cell: this.view.cursor, up: this.state.walls[this.view.cursor] !== "1", drag: dragNumber });
    };
    return {
      " ": () => this.play(!this.playing), ".": () => this.step(), r: () => { this.play(false); this.send({ do: "restart" }); }, u: () => this.send({ do: "undo" }),
      ArrowUp: () => this.moveBy(0, -1), ArrowDown: () => this.moveBy(0, 1), ArrowLeft: () => this.moveBy(-1, 0), ArrowRight: () => this.moveBy(1, 0),
      Escape: () => this.play(false), Enter: () => { if (this.tool.key === "wall") wall(); }, ...this.moreKeys,
    };
  }

  /* Act on a key that was pressed on this stage. */
  key(event) {
    if (!this.state || event.altKey || event.defaultPrevented) return;
    const keys = this.keys(), digit = Number(event.key), undo = (event.ctrlKey || event.metaKey) && event.key === "z";
    if ((event.ctrlKey || event.metaKey) && !undo) return;
    let act = undo ? keys.u : keys[event.key] ?? keys[event.key.toLowerCase()];
    if (digit >= 1 && digit <= this._list.length) act = () => this.choose(this._list[digit - 1]);
    if (!act) return;
    event.preventDefault();
    if (event.key.startsWith("Arrow") && !event.repeat) newDrag();
    act();
  }
}

function stepsOf(state) {
  return Math.max(...Object.values(state.sides).map((side) => side.trail.length - 1));
}

/* A maze in words. */
function describe(scene, side) {
  const objects = side.objects.map((object) => `${object.type}${object.hidden ? ", hidden from the agent," : ""} at ${place(scene, object.cell)}`);
  if (scene.target >= 0) objects.push(`target at ${place(scene, scene.target)}`);
  return `Agent at ${place(scene, side.agent)}; ${objects.join("; ")}. ${outcomeText(side, scene.limit)}.`;
}

/* Show the probability of each move in the agent's cell. */
function showBars(host, side) {
  if (!host.children.length) {
    host.append(...ACTION_NAMES.map((name, action) => element("label", {}, `${"↑→↓←"[action]} ${name} `, element("meter", { min: "0", max: "1" }), element("output"))));
  }
  [...host.children].forEach((row, action) => {
    row.querySelector("meter").value = side.here[action];
    row.querySelector("output").textContent = percent(side.here[action]);
  });
}

/* Fill a list with the channels of a layer; return nothing where they are drawn already. */
function showChannels(host, maps, scene, chosen, choose) {
  const cells = scene.walls.length, channels = maps ? maps.length / cells : 0;
  host.hidden = !channels;
  if (host.children.length !== channels) {
    host.replaceChildren(...Array.from({ length: channels }, (_, i) => element("button", { type: "button", role: "option", tabindex: "-1", "aria-label": `channel ${i}`, title: `channel ${i}` }, element("canvas"))));
  }
  host.onkeydown = (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 8, ArrowUp: -8 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    choose((Math.max(0, chosen) + by + channels) % channels);
  };
  [...host.children].forEach((button, channel) => {
    button.onclick = () => choose(channel);
    button.setAttribute("aria-selected", String(channel === chosen));
    const canvas = button.firstChild;
    if (canvas.width !== scene.width) canvas.width = canvas.height = scene.width;
    const pen = canvas.getContext("2d"), image = pen.createImageData(scene.width, scene.height);
    for (let cell = 0; cell < cells; cell++) image.data.set([...rampColour(maps[channel * cells + cell] / 255), 255], 4 * cell);
    pen.putImageData(image, 0, 0);
  });
}

const SPRITES = new Map();

/* Return the images of the objects of an appearance. */
function spritesOf(appearance) {
  if (!SPRITES.has(appearance)) SPRITES.set(appearance, makeSprites(appearance));
  return SPRITES.get(appearance);
}

function toolIcon(name, appearance) {
  const canvas = element("canvas", { width: "36", height: "36", "aria-hidden": "true" }), pen = canvas.getContext("2d"), sprite = spritesOf(appearance)[name];
  if (name === "target") drawTarget(pen, 18, 18, 38, true);
  else if (name === "agent") drawAgent(pen, { agent: 0, trail: [0] }, () => [18, 18], 1, 44);
  else if (name === "wall") {
    pen.fillStyle = css("wall");
    pen.fillRect(4, 4, 28, 28);
    pen.strokeStyle = css("faint");
    pen.strokeRect(4, 4, 28, 28);
  } else if (sprite) pen.drawImage(sprite, 1, 1, 34, 34);
  return canvas;
}

/* A stage whose networks run in this browser. `given` as LocalSession takes it, `options` as Stage. */
function localStage(host, given, options) {
  const session = new LocalSession(given);
  const stage = new Stage(host, {
    appearance: () => SITE.appearance,
    send: (message) => {
      try {
        session.handle(message);
      } catch (error) {
        showStatus(sentence(error.message), false, true);
      }
      stage.refresh();
    },
    after: () => stage.play(false), ...options,
  });
  stage.session = session;
  stage.refresh = () => stage.show(Object.assign(session.state(), { untrained: untrainedText(session) }));
  /* Show another level from its start. */
  stage.open = (level) => {
    stage.play(false);
    session.open(level);
    stage.refresh();
  };
  stage.refresh();
  return stage;
}

function untrainedText(session) {
  const { size } = session.level;
  return Object.values(session.sides).some((side) => side.agent.data.size && side.agent.data.size !== size) ? `The agent was never trained at ${size}×${size}.` : "";
}

/* Draw all stages that can be seen, now. */
function redrawAll() {
  for (const stage of STAGES) if (stage.boards.clientWidth) stage.paint();
}

addEventListener("resize", redrawAll);
