"use strict";
/* All controls: two agents in one maze. */

const EDITED = "edited";
/* At these the effect of an edit is measured. */
const STRENGTHS = [0, 0.5, 1, 1.5, 2, 3];

/* Situations worth looking at: the set of mazes, and the agents on both sides. */
const PRESETS = [
  { title: "A cue-follower and its twin: sign and exit apart", set: "moved-sign", right: 1 },
  { title: "The same in a larger maze than in training", set: "moved-sign", size: 13, right: 1 },
  { title: "The goal rewritten: unedited and edited", set: "none", right: EDITED, number: "clear" },
  { title: "An edit that cannot show: the exit lies on the path to the target", set: "none", right: EDITED, number: "blocked" },
  { title: "Two signs: one on the exit, one elsewhere", set: "two-signs", right: 1 },
  { title: "No sign: can it still find the exit?", set: "no-sign", right: 1 },
  { title: "Apples: is it the colour?", set: "apples", right: 1 },
  { title: "The exit moves away from its sign", set: "moved-exit", right: 1 },
];

class Instrument {
  constructor() {
    this.tools = { exit: MOVE_EXIT, sign: MOVE_SIGN, agent: MOVE_AGENT, target: MOVE_TARGET, wall: { key: "wall", label: "walls", moves: ["wall"] } };
    this.known = { left: this._agents(false), right: this._agents(true) };
    for (const name of ["left", "right"]) this._fillAgents(byId(name), this.known[name]);
    byId("preset").append(...PRESETS.map((preset, i) => element("option", { value: i }, preset.title)));
    this.sets = [...LEVEL_SETS, ...SMALL_SETS.filter((set) => set.size !== LEVEL_SETS[0].size)];
    byId("set").append(...this.sets.map((set, i) => element("option", { value: i }, `${set.shift === "none" ? "as in training" : set.shift}, ${set.size}×${set.size}`)));
    const sites = (values) => values.map((site) => element("option", { value: site }, site));
    byId("site").append(...sites(STORY_AGENT.network.sites));
    byId("edit-site").append(...sites(STORY_AGENT.editedSites));
    this.handMade = [];
    const set = this.sets[0];
    this.stage = new Stage(byId("instrument-stage"), {
      prefix: "instrument", bars: true, level: given(set, 0), tools: Object.values(this.tools), onNext: () => this.showLevel((Number(byId("number").value) + 1) % this.set.levels.length),
      sides: [
        { key: "unedited", title: "Left", note: "", agent: STORY_AGENT, edited: false },
        { key: "edited", title: "Right", note: "", agent: TWIN, edited: false },
      ],
    });
    this.stage.onDraw = (scene) => this._channels(scene);
    this.stage.onChange = () => this._keepHandMade();
    this._listen();
    if (!this.openLink()) this.preset(0);
  }

  _agents(withEdit) {
    const seeds = SEEDS.map((seed) => ({ title: `seed ${seed.seed}: ${seed.label}`, agent: seed.agent, purpose: "one of the agents of step 6", preference: seed.measured }));
    const named = AGENTS.map((agent) => ({ title: agentTitle(agent), agent, purpose: agent.data.purpose, preference: agent.data.preference && { ...agent.data.preference, value: agent.data.preference.cue } }));
    const edited = { title: "the left agent with its goal moved to the target", agent: null, purpose: "edited while it runs" };
    return { "Agents of the zoo": named, ...(withEdit ? { "The same agent": [edited] } : {}), [POPULATION.name]: seeds };
  }

  _fillAgents(select, groups) {
    select.replaceChildren(...Object.entries(groups).map(([name, entries]) => element("optgroup", { label: name }, ...entries.map((entry) => element("option", { value: entry.agent?.name ?? EDITED }, entry.title)))));
  }

  _entry(name) {
    return Object.values(this.known[name]).flat().find((entry) => (entry.agent?.name ?? EDITED) === byId(name).value);
  }

  get set() {
    return this.sets[byId("set").value];
  }

  _listen() {
    for (const name of ["left", "right"]) byId(name).onchange = () => this.showAgents();
    byId("preset").onchange = () => this.preset(Number(byId("preset").value));
    byId("set").onchange = () => this.showLevel(0);
    byId("number").onchange = () => this.showLevel(Math.max(0, Math.min(this.set.levels.length - 1, Math.round(Number(byId("number").value)))));
    for (const [id, field] of [["arrows", "arrows"], ["overlay", "overlay"], ["site", "site"]]) {
      byId(id).onchange = () => {
        this.stage.view[field] = byId(id).value;
        if (id === "site") this.stage.view.overlay = byId("overlay").value = "channel";
        this.stage.draw();
      };
    }
    byId("edit-site").onchange = () => { this.stage.site = byId("edit-site").value; this.stage.changed(); };
    byId("strength").oninput = () => { this.stage.strength = Number(byId("strength").value); this._strengthText(); this.stage.changed(); };
    byId("by-hand").onchange = () => this._openHandMade();
    byId("copy-link").onclick = () => this._copyLink();
    tallyButton("tally-run", "tally-result", (say, done) => this._tally(say, done));
    tallyButton("effect-run", "tally-result", (say, done) => this._effect(say, done));
    this._strengthText();
  }

  _strengthText() {
    byId("strength-text").textContent = byId("strength").value;
  }

  preset(i) {
    const preset = PRESETS[i], size = preset.size ?? STORY_AGENT.data.size;
    byId("preset").value = i;
    byId("set").value = this.sets.findIndex((set) => set.shift === preset.set && set.size === size);
    byId("left").value = STORY_AGENT.name;
    byId("right").value = preset.right === EDITED ? EDITED : AGENTS[preset.right].name;
    this.showAgents(false);
    this.showLevel(this._presetLevel(preset));
  }

  /* Chosen by the maze alone. */
  _presetLevel(preset) {
    const { set } = this, exit = (level) => cellOf(level, "exit"), wide = (level, other) => spread(level, exit(level), other);
    if (preset.set === "moved-sign" || preset.set === "moved-exit") return clearestLevel(set, (level) => wide(level, cellOf(level, "sign")), () => true);
    if (!preset.number) return 0;
    const behind = (i) => {
      const level = set.levels[i], from = distancesFrom(level, level.start);
      return from[exit(level)] + distancesFrom(level, exit(level))[set.targets[i]] === from[set.targets[i]];
    };
    const numbers = [...set.levels.keys()].filter((i) => behind(i) === (preset.number === "blocked"));
    return numbers.sort((a, b) => wide(set.levels[b], set.targets[b]) - wide(set.levels[a], set.targets[a]))[0] ?? 0;
  }

  showAgents(redraw = true) {
    const [left, right] = this.stage.sides, entries = ["left", "right"].map((name) => this._entry(name));
    left.agent = entries[0].agent;
    right.edited = entries[1].agent === null;
    right.agent = entries[1].agent ?? left.agent;
    const { unedited, edited } = this.stage.canvases;
    unedited.title.textContent = right.edited ? "Unedited" : "Left";
    edited.title.textContent = right.edited ? "Edited" : "Right";
    [left.title, right.title] = [unedited.title.textContent, edited.title.textContent];
    edited.figure.classList.toggle("edited", right.edited);
    unedited.note.textContent = left.agent.name;
    edited.note.textContent = right.edited ? `${left.agent.name}, edited` : right.agent.name;
    byId("agents-text").textContent = entries.map((entry, i) => this._agentText(["Left", "Right"][i], entry)).join(" ");
    const editable = right.edited && left.agent.editedSites.length > 0;
    byId("edit-controls").hidden = !editable;
    byId("effect-run").hidden = !editable;
    byId("effect-chart").hidden = true;
    if (right.edited && !left.agent.editedSites.length) byId("agents-text").textContent += " No edit was fitted for the left agent, so both sides are the same.";
    this._fillSites(left.agent);
    this.stage.target = right.edited ? this.stage.givenTarget ?? -1 : -1;
    this.stage.tools = Object.values(this.tools).filter((tool) => (tool.key === "target" ? right.edited : tool.moves.every((what) => what === "agent" || what === "wall" || cellOf(this.stage.level, what) >= 0)));
    if (!this.stage.tools.includes(this.stage.tool)) this.stage.tool = this.stage.tools[0];
    this.stage._buildTools();
    if (redraw) this.stage.changed();
  }

  _fillSites(agent) {
    const select = byId("site"), now = select.value, { sites } = agent.network;
    if (select.children.length !== sites.length) select.replaceChildren(...sites.map((site) => element("option", { value: site }, site)));
    select.value = sites.includes(now) ? now : sites[0];
    this.stage.view.site = select.value;
  }

  _agentText(side, entry) {
    const { preference } = entry;
    const measured = preference?.value == null ? "" : ` Where sign and exit stand apart it goes to the sign in ${percent(preference.value)} of mazes (between ${percent(preference.low)} and ${percent(preference.high)}).`;
    return `${side}: ${entry.purpose || "an agent of your own"}.${measured}`;
  }

  showLevel(number) {
    byId("number").value = number;
    byId("number").max = this.set.levels.length - 1;
    byId("set-text").textContent = `${this.set.shift === "none" ? "As in training" : this.set.shift}: ${this.set.about}.`;
    const level = given(this.set, number);
    this.stage.givenTarget = level.target;
    this.stage.level = level.level;
    this.showAgents(false);
    const { target } = level;
    this.stage.setLevel({ ...level, target: this.stage.sides[1].edited ? target : -1 });
    this.stage.target = this.stage.sides[1].edited ? target : -1;
    this.stage.changed();
  }

  _channels(scene) {
    const shown = this.stage.view.overlay === "channel";
    byId("channels").hidden = !shown;
    if (!shown || !scene.sides.unedited.maps) return;
    showChannels(byId("channels"), scene.sides.unedited.maps, this.stage.level, this.stage.view.channel, (channel) => {
      this.stage.view.channel = channel;
      this.stage.draw();
    });
  }

  /* A maze that was edited by hand stays in a list, whatever is opened next. */
  _keepHandMade() {
    const { stage } = this;
    if (!stage?.byHand) { this._hand = null; return; }
    this._hand ??= this.handMade[this.handMade.push({}) - 1];
    Object.assign(this._hand, { level: copyLevel(stage.level), limit: stage.limit, row: stage.row, target: stage.target, byHand: true });
    byId("by-hand-label").hidden = false;
    byId("by-hand").replaceChildren(...this.handMade.map((one, i) => element("option", { value: i }, `maze ${i + 1}, ${one.level.size}×${one.level.size}`)));
    byId("by-hand").value = this.handMade.indexOf(this._hand);
  }

  _openHandMade() {
    const chosen = this.handMade[byId("by-hand").value];
    this._hand = chosen;
    this.stage.setLevel(chosen);
  }

  _tally(say, done) {
    const { set, stage } = this, [left, right] = stage.sides;
    if (right.edited) {
      return compareTargets(left.agent, set, [...set.levels.keys()], stage.site, stage.strength, say, done);
    }
    const counts = [left, right].map(() => ({ exit: 0, cue: 0 })), cues = ["sign", "apple"];
    const stops = (level) => Object.fromEntries(level.objects.filter((one) => cues.includes(one.type)).map((one) => [one.type, one.cell]));
    return playMany(left.agent, set.levels, set.limit, stops, () => null, (episode, i) => {
      [episode, right.agent.play(set.levels[i], set.limit, i, stops(set.levels[i]))].forEach((one, k) => {
        counts[k].exit += one.outcome === "exit";
        counts[k].cue += cues.includes(one.outcome);
      });
      say(counts.map((count, k) => `${["Left", "Right"][k]}: the exit first in ${rateText(count.exit, i + 1)}, a sign or apple first in ${rateText(count.cue, i + 1)}.`).join(" "));
    }, done);
  }

  /* The rate of targets at several strengths, one after the other. */
  _effect(say, done) {
    const { set, stage } = this, agent = stage.sides[0].agent, numbers = [...set.levels.keys()].slice(0, 40), points = [];
    let stop = () => {};
    const at = (strengths) => {
      if (!strengths.length) { say(`Targets reached before the exit, on ${numbers.length} mazes at each strength.`); done(); return; }
      const point = { strength: strengths[0], count: 0, total: 0 };
      points.push(point);
      const levels = numbers.map((i) => set.levels[i]);
      stop = playMany(agent, levels, set.limit, (_, i) => ({ target: set.targets[numbers[i]] }), (level, i) => agent.edit(level, stage.site, set.targets[numbers[i]], point.strength), (episode) => {
        point.total += 1;
        point.count += episode.outcome === "target";
      }, () => {
        byId("effect-chart").hidden = false;
        effectChart(byId("effect-chart"), points, STRENGTHS[STRENGTHS.length - 1]);
        say(`Strength ${point.strength} is measured …`);
        at(strengths.slice(1));
      });
    };
    at(STRENGTHS);
    return () => stop();
  }

  /* The whole scene as a link, without any secret: it opens in any copy of this page. */
  link() {
    const { level, target, limit, row } = this.stage;
    const letters = [...level.walls].map((wall) => (wall ? "#" : "."));
    letters[level.start] = "A";
    for (const [cell, letter] of Object.entries(lettersOf(level))) letters[cell] = letter;
    const parts = { maze: letters.join(""), size: level.size, limit, row, target, left: byId("left").value, right: byId("right").value };
    return `${location.href.split("#")[0]}#scene=${encodeURIComponent(JSON.stringify(parts))}`;
  }

  async _copyLink() {
    const link = this.link();
    try {
      await navigator.clipboard.writeText(link);
      byId("tally-result").textContent = "The link was copied. It holds the whole scene and opens in any copy of this page.";
    } catch {
      location.hash = link.split("#")[1];
      byId("tally-result").textContent = "The link is in the address of this page now. It holds the whole scene.";
    }
  }

  /* Open the scene in the address, if there is one that is sound; return whether there was. */
  openLink() {
    const match = /^#scene=(.*)$/.exec(location.hash);
    if (!match) return false;
    try {
      const { maze, size, limit, row, target, left, right } = JSON.parse(decodeURIComponent(match[1])), names = (name) => Object.values(this.known[name]).flat().map((entry) => entry.agent?.name ?? EDITED);
      const level = readLevel(maze, size), inside = (cell) => Number.isInteger(cell) && cell >= -1 && cell < size * size;
      const sound = Number.isInteger(size) && size >= 5 && size <= 25 && maze.length === size * size && /^[#.AESGPR]+$/.test(maze) && level.start >= 0 && cellOf(level, "exit") >= 0
        && closed(level) && inside(target) && !level.walls[Math.max(0, target)] === (target >= 0) && Number.isInteger(limit) && limit > 0 && limit <= 8 * 25 * 25 && Number.isInteger(row) && row >= 0
        && names("left").includes(left) && names("right").includes(right);
      if (!sound) throw new Error("not a scene");
      [byId("left").value, byId("right").value] = [left, right];
      this.stage.givenTarget = target;
      this.stage.setLevel({ level, limit, row, target, byHand: true, about: "" });
      this.stage.target = target;
      this.showAgents();
      byId("instrument").scrollIntoView();
      return true;
    } catch {
      byId("tally-result").textContent = "The link is damaged, so the page shows its first maze.";
      return false;
    }
  }
}

function closed(level) {
  const { size, walls } = level;
  for (let i = 0; i < size; i++) if (!walls[i] || !walls[size * (size - 1) + i] || !walls[size * i] || !walls[size * i + size - 1]) return false;
  return true;
}

/* Return cell -> letter of the objects of a level. */
function lettersOf(level) {
  const letters = {};
  for (const cell of new Set(level.objects.map((object) => object.cell))) {
    const types = level.objects.filter((object) => object.cell === cell).map((object) => object.type).sort().join();
    letters[cell] = Object.keys(LETTERS).find((letter) => [...LETTERS[letter]].sort().join() === types) ?? "S";
  }
  return letters;
}

const INSTRUMENT = new Instrument();
startTheme();
byId("theme").onclick = () => {
  switchTheme();
  redrawAll();
};
addEventListener("resize", redrawAll);
addEventListener("hashchange", () => INSTRUMENT.openLink());
redrawAll();
