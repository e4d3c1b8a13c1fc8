"use strict";
/* The scene of a stage whose networks run in this browser. It takes the messages of `goalmaze.experiments.live.messages`
 * and gives the states of `goalmaze.experiments.live.session`, so that one stage shows both. */

const MAX_UNDO = 200;

/* Define a property that is computed when it is first read. */
function lazily(owner, name, compute) {
  Object.defineProperty(owner, name, {
    configurable: true,
    get() {
      const value = compute();
      Object.defineProperty(owner, name, { value });
      return value;
    },
  });
}

class LocalSession {
  /* `given`: sides, key -> { agent, edited }; and as `open` takes it. */
  constructor(given) {
    Object.assign(this, { sides: {}, site: "stem", inspected: "stem", strength: 1, firstOnly: false });
    this._fields = {};
    this.open(given);
  }

  /* Show another level: level, limit, seed (of the actions), target, about (a sentence), byHand. */
  open(given) {
    Object.assign(this, { target: -1, byHand: false, about: "", seed: 0, ...given });
    this.past = [];
    this.restart();
  }

  get edits() {
    return Object.values(this.sides).some((side) => side.edited);
  }

  get shownTarget() {
    return this.edits ? this.target : -1;
  }

  restart() {
    this.episodes = Object.fromEntries(Object.entries(this.sides).map(([key, side]) => [key, new Episode(this.level, this.limit, this._stopsAt(side), side.agent.rules)]));
  }

  get finished() {
    return Object.values(this.episodes).every((episode) => episode.outcome !== "walking");
  }

  _stopsAt(side) {
    if (side.edited) return { target: this.target };
    return cueCells(this.level);
  }

  _edit(key) {
    const side = this.sides[key];
    if (!side.edited || (this.firstOnly && this.episodes[key].steps > 0)) return null;
    return side.agent.edit(this.level, this.site, this.target, this.strength);
  }

  step() {
    for (const [key, side] of Object.entries(this.sides)) {
      const episode = this.episodes[key];
      if (episode.outcome !== "walking") continue;
      const { probabilities } = side.agent.at(this.level, episode.cell, this._edit(key));
      episode.step(sampled(probabilities, uniform(this.seed, 0, episode.steps)));
    }
  }

  /* Apply a message. Throws an error with a sentence where that cannot be done; the scene is as before then. */
  handle(message) {
    const act = {
      move: () => this._move(message), wall: () => this._wall(message), step: () => this.step(), restart: () => this.restart(), undo: () => this._undo(),
      inspect: () => { this.inspected = message.site; },
    }[message.do];
    if (!act) throw new Error(`this page cannot do '${message.do}'`);
    act();
  }

  _remember(drag) {
    if (drag && this.past.length && this.past[this.past.length - 1].drag === drag) return;
    this.past.push({ drag, ...this._kept() });
    this.past.splice(0, this.past.length - MAX_UNDO);
  }

  _kept() {
    return { level: this.level, target: this.target, byHand: this.byHand, limit: this.limit, about: this.about };
  }

  _undo() {
    const before = this.past.pop();
    if (!before) return;
    Object.assign(this, before);
    this.restart();
  }

  /* Levels are not changed in place: frames that were shown keep theirs. */
  _changeLevel(drag, change) {
    this._remember(drag);
    this.level = copyLevel(this.level);
    change(this.level);
    this.byHand = true;
    this.about = "This maze was edited by hand.";
    this.restart();
  }

  _move({ what, which = 0, cell, drag = 0 }) {
    const { level } = this;
    if (level.walls[cell]) throw new Error(`the ${what} must stand on a free cell; choose another`);
    if (what === "target") {
      this._remember(drag);
      this.target = cell;
      for (const episode of Object.values(this.episodes)) if ("target" in episode.stopsAt) episode.stopsAt.target = cell;
      if (this.finished) this.restart();
    } else if (what === "agent") {
      if (level.objects.some((one) => one.cell === cell)) throw new Error("the agent must start on a cell without an object");
      this._changeLevel(drag, (changed) => { changed.start = cell; });
    } else {
      if (cell === level.start) throw new Error("the agent starts on this cell; move it first");
      const number = numbersOf(level, what)[which];
      if (number === undefined) throw new Error(`there is no ${what} in this maze to move`);
      this._changeLevel(drag, (changed) => { changed.objects[number].cell = cell; });
    }
  }

  _wall({ cell, up, drag = 0 }) {
    const { level } = this, row = Math.floor(cell / level.size), column = cell % level.size;
    if (row === 0 || column === 0 || row === level.size - 1 || column === level.size - 1) throw new Error("the border must stay closed; draw inside it");
    if (up && cell === this.shownTarget) throw new Error("the target is on this cell; move it first");
    if (up && (cell === level.start || level.objects.some((one) => one.cell === cell))) throw new Error("the agent or an object is on this cell; move it first");
    this._changeLevel(drag, (changed) => { changed.walls[cell] = up ? 1 : 0; });
  }

  _levelKey() {
    return `${this.level.size} ${this.level.walls.join("")} ${this.level.objects.map((object) => object.type + object.cell).join()}`;
  }

  /* Return what `Stage.show` takes. What is not on the screen, such as maps, is computed when it is first read. */
  state() {
    const { level } = this, sides = {}, before = this._fields;
    this._fields = {};
    for (const [key, side] of Object.entries(this.sides)) {
      const edit = this._edit(key), id = `${side.agent.name} ${this._levelKey()} ${edit ? `${this.target} ${this.site} ${this.strength}` : ""}`;
      /* The field of an agent that a drag does not concern is kept. */
      this._fields[key] = before[key]?.id === id ? before[key] : { id, field: side.agent.field(level, edit) };
      sides[key] = this._side(key, side, edit);
    }
    const scene = {
      kind: "state", height: level.size, width: level.size, walls: level.walls.join(""), start: level.start, target: this.shownTarget, sides,
      limit: this.limit, finished: this.finished, undo: this.past.length, about: this.about, by_hand: this.byHand, inspected_site: this.inspected,
      family: level.family,
    };
    if (this.edits) scene.changed = fieldChange(this._fields.unedited.field, this._fields.edited.field);
    this._addMaps(scene);
    return scene;
  }

  _side(key, side, edit) {
    const episode = this.episodes[key], { level, inspected } = this, trail = [...episode.trail], agent = trail[trail.length - 1];
    const numbers = {};
    const objects = level.objects.map(({ type, cell }) => {
      numbers[type] = (numbers[type] ?? -1) + 1;
      return { type, cell: type === "lamp" ? 0 : cell, which: numbers[type], hidden: false };
    });
    const frame = { agent, trail, outcome: episode.outcome, objects, probabilities: this._fields[key].field };
    lazily(frame, "_inside", () => side.agent.at(level, agent, edit, side.agent.network.sites.includes(inspected) ? [inspected] : []));
    lazily(frame, "here", () => frame._inside.probabilities);
    lazily(frame, "value", () => frame._inside.value);
    lazily(frame, "heading", () => {
      const probe = side.agent.probes.find((one) => one.site === inspected);
      return probe?.above ? readHeading(probe, frame._inside.maps[inspected], level) ?? undefined : undefined;
    });
    lazily(frame, "reading", () => {
      const probe = side.agent.probes.find((one) => one.site === inspected);
      return probe?.above ? readingBytes(probe, frame._inside.maps[inspected]) : undefined;
    });
    return frame;
  }

  /* The maps of all sides have one scale, so that one colour is one value. */
  _addMaps(scene) {
    const { inspected } = this, cells = this.level.walls.length, frames = Object.values(scene.sides);
    lazily(scene, "scale", () => {
      const maps = frames.map((frame) => frame._inside.maps[inspected]).filter(Boolean);
      return Array.from({ length: maps.length ? Math.min(...maps.map((map) => map.length)) / cells : 0 }, (_, channel) => {
        const values = maps.flatMap((map) => [...map.subarray(channel * cells, (channel + 1) * cells)]);
        return [Math.min(...values), Math.max(...values)];
      });
    });
    for (const frame of frames) lazily(frame, "maps", () => scaledMap(frame._inside.maps[inspected], scene.scale, cells));
  }
}

/* Return every channel of a map scaled to bytes by its range; nothing where there is no map. */
function scaledMap(map, scale, cells) {
  if (!map) return undefined;
  const bytes = new Uint8Array(scale.length * cells);
  scale.forEach(([low, high], channel) => {
    const span = Math.max(high - low, 1e-9);
    for (let i = channel * cells; i < (channel + 1) * cells; i++) bytes[i] = Math.round((255 * (map[i] - low)) / span);
  });
  return bytes;
}
