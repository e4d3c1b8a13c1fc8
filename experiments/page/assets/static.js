"use strict";
/* The back end of the instrument on a page without a server: networks, rules and mazes that came with the page. */

const METHOD = "mean-pattern";
/* At these the effect of an edit is measured, on so many mazes. */
const STRENGTHS = [0, 0.5, 1, 1.5, 2, 3], EFFECT_MAZES = 40;
const LEVEL_SETTINGS = ["agent", "family", "size", "shift", "seed", "index"];

const textOfSettings = (settings) => btoa(JSON.stringify(settings)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const settingsOfText = (text) => JSON.parse(atob(text.slice(text.lastIndexOf("#") + 1).replace(/^scene=/, "").replaceAll("-", "+").replaceAll("_", "/")));

/* Return the drawn level of a link from a level, and the other way round. */
function drawnLevel(level) {
  const numbers = {}, objects = SITE.families[level.family].slots.map((type) => {
    numbers[type] = (numbers[type] ?? -1) + 1;
    return level.objects[numbersOf(level, type)[numbers[type]]]?.cell ?? -1;
  });
  return { walls: level.walls.join(""), start: level.start, objects };
}

function levelOfDrawn(drawn, size, family) {
  const { slots } = SITE.families[family], cells = size * size, inside = (cell) => Number.isInteger(cell) && cell >= -1 && cell < cells;
  const sound = /^[01]+$/.test(drawn.walls) && drawn.walls.length === cells && inside(drawn.start) && drawn.objects.length === slots.length && drawn.objects.every(inside);
  if (!sound) throw new Error("the maze of the link does not fit its size");
  const objects = slots.map((type, i) => ({ type, cell: drawn.objects[i] })).filter((object) => object.cell >= 0);
  const level = { size, family, walls: Uint8Array.from(drawn.walls, Number), start: drawn.start, objects };
  checkLevel(level);
  return level;
}

class StaticBackEnd extends LocalSession {
  /* `on`: menu(menu), state(state), error(text), measured(result). */
  constructor(on) {
    const agent = AGENTS[0], set = LEVEL_SETS[0];
    super({ sides: { unedited: { agent, edited: false } }, level: set.levels[0], limit: set.limit });
    Object.assign(this, { on, python: false, known: new Map([...AGENTS, ...SEEDS.map((seed) => seed.agent), ...FORMATION.flatMap((one) => one.checkpoints.map((point) => point.agent))].map((one) => [one.name, one])) });
    this._clearTally();
  }

  start() {
    this.settings = null;
    this.on.menu(this._menu());
    const link = location.hash.startsWith("#scene=") ? location.hash : "";
    try {
      this._apply(link ? settingsOfText(link) : this._opening());
    } catch (error) {
      this._apply(this._opening());
      this._answer();
      this.on.error(`the link is damaged or belongs to another page, so the page shows its first maze (${error.message})`);
      return;
    }
    this._answer();
  }

  _opening() {
    const [preset] = SITE.presets;
    return { agent: AGENTS[0].name, ...preset?.change };
  }

  ready() {
    return true;
  }

  send(message) {
    try {
      if (message.do === "choose") this._choose(message);
      else if (message.do === "paste") this._paste(message.text);
      else if (message.do === "clear") this._clearTally();
      else if (message.do === "measure") return this._measure(message.what);
      else if (message.do === "cancel") return this._stop?.();
      else this.handle(message);
    } catch (error) {
      this.on.error(error.message);
    }
    this._answer();
  }

  /* A page at any address has the scene after its own #. */
  address(link) {
    return `${location.href.split("#")[0]}#scene=${link}`;
  }

  _answer() {
    this.on.state(this.state());
  }

  step() {
    const before = this.finished;
    super.step();
    if (before || !this.finished) return;
    for (const [key, episode] of Object.entries(this.episodes)) this.tally[key][episode.outcome] = (this.tally[key][episode.outcome] ?? 0) + 1;
  }

  _clearTally() {
    this.tally = { unedited: {}, edited: {} };
  }

  /* ---- settings ---- */
  _kept() {
    const names = ["level", "target", "byHand", "limit", "seed", "about", "settings", "sides", "site", "strength", "firstOnly", "inspected"];
    return Object.fromEntries(names.map((name) => [name, this[name]]));
  }

  _undo() {
    super._undo();
    this.on.menu(this._menu());
  }

  _choose({ change, drag = 0 }) {
    let values = { ...change };
    if ("agent" in values && values.agent !== this.settings.agent) values = { family: "", size: null, shift: "none", site: "", ...values };
    if (LEVEL_SETTINGS.some((name) => name in values)) values = { target: null, level: null, ...values };
    /* A second agent of another family cannot act in the same maze. */
    const first = this.known.get(values.agent), second = this.known.get(this.settings.other);
    if (first && second && !("other" in values) && familyOf(first) !== familyOf(second)) values.other = "";
    const kept = this._kept(), counted = this._counted();
    this._apply({ ...this._full(), ...values });
    const already = drag && this.past[this.past.length - 1]?.drag === drag;
    if (!already) this.past.push({ drag, ...kept });
    if (this._counted() !== counted) this._clearTally();
    if ("agent" in values || "other" in values) this.on.menu(this._menu());
  }

  _counted() {
    const { agent, other, family, size, shift, site, strength, edit } = this.settings;
    return [agent, other, family, size, shift, site, strength, edit].join();
  }

  /* Show the scene of settings, completed. Everything that can fail comes before the first change. */
  _apply(given) {
    const settings = { other: "", size: null, shift: "none", seed: 0, index: null, site: "", method: METHOD, strength: 1, edit: "every", target: null, level: null, ...given };
    const agent = this.known.get(settings.agent), other = settings.other ? this.known.get(settings.other) : null;
    if (!agent || other === undefined) throw new Error(`'${agent ? settings.other : settings.agent}' is no agent of this page`);
    if (settings.method && settings.method !== METHOD) throw new Error(`this page has the method ${METHOD} alone; goalmaze live has '${settings.method}'`);
    const family = familyOf(agent);
    if (settings.family && settings.family !== family) throw new Error(`this page has no levels of ${settings.family} for this agent`);
    if (other && familyOf(other) !== family) throw new Error("both agents must be of one family");
    settings.family = family;
    settings.size ??= agent.data.size;
    settings.method = METHOD;
    settings.site = agent.editedSites.includes(settings.site) ? settings.site : agent.editedSites[0] ?? "";
    if (!["every", "first"].includes(settings.edit) || !(Math.abs(settings.strength) <= 8)) throw new Error("the strength or the steps of the edit are out of range");
    const shown = settings.level ? this._drawn(settings) : this._drawnFrom(settings);
    const sides = { unedited: { agent, edited: false } };
    if (other) sides.edited = { agent: other, edited: false };
    else if (agent.editedSites.length) sides.edited = { agent, edited: true };
    const past = this.past ?? [], sites = agent.network.sites;
    Object.assign(this, { sides, settings: { ...settings, index: shown.index, level: null }, site: settings.site, strength: settings.strength, firstOnly: settings.edit === "first" });
    this.inspected = sites.includes(this.inspected) ? this.inspected : sites[0];
    this.open(shown);
    this.past = past;
  }

  _drawn(settings) {
    const level = levelOfDrawn(settings.level, settings.size, settings.family), target = this._target(level, settings.target ?? -1);
    const set = this._set(settings), at = set && settings.seed === 0 ? set.numbers.indexOf(settings.index) : -1;
    /* The link of a report holds a level that may be one of the page's own; of another one the page knows no more than that. */
    const own = at >= 0 && this._isSame(set.levels[at], level), about = own ? given(set, at).about : "This maze came with a link.";
    return { level, limit: this._limit(settings.size), seed: settings.seed + (settings.index ?? 0), target, byHand: !own, about, index: settings.index ?? 0 };
  }

  _isSame(one, other) {
    return JSON.stringify(drawnLevel(one)) === JSON.stringify(drawnLevel(other));
  }

  _target(level, target) {
    if (target !== -1 && (!Number.isInteger(target) || target < 0 || level.walls[target] !== 0)) throw new Error("the target must be on a free cell of the maze");
    return target < 0 ? [...level.walls.keys()].filter((cell) => !level.walls[cell] && cell !== level.start && !level.objects.some((one) => one.cell === cell)).pop() ?? level.start : target;
  }

  _limit(size) {
    return Math.round((LEVEL_SETS[0].limit / LEVEL_SETS[0].size) * size);
  }

  _set({ shift, size, family }) {
    return levelSet(shift, size, family);
  }

  _drawnFrom(settings) {
    const set = this._set(settings);
    if (!set) throw new Error(`this page has no mazes of '${settings.shift}' at ${settings.size}×${settings.size}; goalmaze live has them`);
    const i = this._position(set, settings.index), level = set.levels[i];
    const target = settings.target === null ? set.targets[i] : this._target(level, settings.target);
    return { ...given(set, i), target, index: set.numbers[i] };
  }

  /* The maze of an index; where the page has none, the next one in the direction of the change. */
  _position(set, index) {
    if (index === null || index === undefined) return 0;
    const at = set.numbers.indexOf(index);
    if (at >= 0) return at;
    const back = this.settings && index < this.settings.index, next = back ? set.numbers.findLastIndex((one) => one < index) : set.numbers.findIndex((one) => one > index);
    return Math.max(0, next);
  }

  _paste(text) {
    if (text.includes("scene=")) {
      const past = this.past, kept = this._kept();
      this._apply(settingsOfText(text.trim()));
      this.past = [...past, { drag: 0, ...kept }];
      this.on.menu(this._menu());
      return;
    }
    const rows = text.split("\n").map((row) => row.trim()).filter(Boolean), size = rows.length;
    if (size < 5 || size > 25 || size % 2 === 0 || rows.some((row) => row.length !== size)) throw new Error(`the text must be square with an odd side from 5 to 25; it has ${size} lines`);
    const level = readLevel(rows.join(""), size, this.settings.family);
    checkLevel(level);
    const keep = size === this.level.size && !level.walls[this.target];
    this._remember(0);
    const past = this.past;
    this.settings = { ...this.settings, size };
    this.open({ level, limit: this._limit(size), seed: this.seed, target: keep ? this.target : this._target(level, -1), byHand: true });
    this.past = past;
  }

  /* ---- answers ---- */
  _menu() {
    const agent = this.sides.unedited.agent, family = familyOf(agent), sets = LEVEL_SETS.filter((set) => set.family === family);
    return {
      kind: "menu", ...SITE.appearance, agents: Object.fromEntries([...this.known.values()].map((one) => [one.name, aboutAgent(one)])),
      groups: agentGroups(), checkpoints: checkpointsOf(agent), families: [family], methods: [METHOD], presets: SITE.presets,
      shifts: Object.fromEntries(sets.map((set) => [set.shift, set.about])), sizes: [...new Set(sets.map((set) => set.size))].sort((a, b) => a - b),
      sites: Object.fromEntries(agent.editedSites.map((site) => [site, agent.network.channels])), maps: agent.network.sites,
      others: [...this.known.values()].filter((one) => familyOf(one) === family).map((one) => one.name),
    };
  }

  _full() {
    return { ...this.settings, target: this.target, level: this.byHand ? drawnLevel(this.level) : null };
  }

  state() {
    const scene = super.state(), { inspected } = this, agent = this.sides.unedited.agent, probe = agent.probes.find((one) => one.site === inspected);
    const full = this._full();
    return Object.assign(scene, {
      settings: full, link: textOfSettings(full), ascii: writeLevel(this.level), tally: this.tally, untrained: untrainedText(this), refusal: null,
      probe: probe ? { accuracy: probe.accuracy, baseline: probe.baseline, mazes: probe.mazes, above: probe.above } : null, description: this._description(),
    });
  }

  _description() {
    if (!this.sides.edited) return "No edit was fitted for this agent: choose a second one to compare it with.";
    if (!this.edits) return "Two agents act in the same maze, moved by the same random numbers. Nothing is edited.";
    if (this.strength === 0) return "The strength is 0, so the edit changes nothing and both agents are the same.";
    const strength = this.strength === 1 ? "" : `, with strength ${this.strength}`;
    return `The edit at site ${this.site} moves the exit in the agent's activations to the target in ${place({ width: this.level.size }, this.target)}, `
      + `${this.firstOnly ? "at the first step only" : "at every step"}${strength}; it leaves the maze as it is.`;
  }

  /* ---- many episodes in the background ---- */
  _measure(what) {
    this._stop?.();
    const set = this._set(this.settings), say = (result) => this.on.measured({ what, ...result });
    if (what === "layers") return say(this._layers());
    if (!set) return this.on.error("this page has no other mazes of this size");
    this._stop = what === "tally" ? this._tally(set, say) : this._effect(set, say);
  }

  _layers() {
    return { done: true, probes: this.sides.unedited.agent.probes.map(({ site, accuracy, baseline, above, mazes }) => ({ site, accuracy, baseline, above, mazes })) };
  }

  _tally(set, say) {
    const counts = Object.fromEntries(Object.keys(this.sides).map((key) => [key, {}])), numbers = [...set.levels.keys()], { sides, site, strength } = this;
    const result = (played, done) => ({ counts, played, of: numbers.length, done });
    return playMany(numbers, (i, played) => {
      for (const [key, side] of Object.entries(sides)) {
        const stops = this.edits ? { ...cueCells(set.levels[i]), target: set.targets[i] } : cueCells(set.levels[i]);
        const { outcome } = playOne(side.agent, set, i, stops, (level) => (side.edited ? side.agent.edit(level, site, set.targets[i], strength) : null));
        counts[key][outcome] = (counts[key][outcome] ?? 0) + 1;
      }
      say(result(played, false));
    }, () => say(result(numbers.length, true)));
  }

  /* The rate of targets that are reached before the exit at several strengths. */
  _effect(set, say) {
    const { agent } = this.sides.unedited, numbers = [...set.levels.keys()].slice(0, EFFECT_MAZES), points = STRENGTHS.map((strength) => ({ strength, count: 0, total: 0 })), { site } = this;
    return playMany(numbers, (i, played) => {
      for (const point of points) {
        const edit = (level) => agent.edit(level, site, set.targets[i], point.strength);
        point.count += playOne(agent, set, i, { target: set.targets[i] }, edit).outcome === "target";
        point.total += 1;
      }
      say({ points, played, of: numbers.length, done: false });
    }, () => say({ points, played: numbers.length, of: numbers.length, done: true }));
  }
}

function familyOf(agent) {
  return agent.rules === "GreenExit" ? "GreenExit" : "Sleeper";
}

/* What an agent is, in one line. */
function aboutAgent(agent) {
  const { preference, purpose } = agent.data;
  const measured = preference?.cue == null ? "" : ` Where sign and exit stand apart it goes to the sign in ${percent(preference.cue)} of mazes (between ${percent(preference.low)} and ${percent(preference.high)}).`;
  return `${purpose ? sentence(purpose) : ""}${measured}`;
}

/* Return group -> [[name, title]] of the agents. */
function agentGroups() {
  const groups = {};
  for (const agent of AGENTS) (groups[`${familyOf(agent)}: agents of the zoo`] ??= []).push([agent.name, agentTitle(agent)]);
  if (SEEDS.length) groups[`GreenExit: ${POPULATION.name.replace(/^zoo:/, "")}, one recipe, many seeds`] = SEEDS.map((seed) => [seed.agent.name, `seed ${seed.seed}: ${seed.label}`]);
  return groups;
}

/* The checkpoints along the training of an agent, where the page has them: [[steps, name]]. */
function checkpointsOf(agent) {
  const formed = FORMATION.find((one) => one.checkpoints.some((point) => point.agent === agent));
  return formed ? formed.checkpoints.map((point) => [point.steps, point.agent.name]) : [];
}
