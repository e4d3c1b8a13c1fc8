"use strict";
/* All controls, over either back end: networks in this browser (`static.js`), or Python (`socket.js`). */

/* Settings whose control has their name. */
const CHOICES = ["agent", "other", "family", "shift", "site", "method", "edit"];
const HAND_MADE = "goalmaze.hand-made", MOST_HAND_MADE = 50;

class Instrument {
  constructor(makeBackEnd) {
    this.handMade = readHandMade();
    this.menu = null;
    this.backEnd = makeBackEnd({
      menu: (menu) => this._menu(menu), state: (state) => this._show(state), error: (text) => this._error(text), measured: (result) => this._measured(result),
      why: (answer) => this.why.show(answer),
      busy: (text) => { showStatus(text, true); byId("cancel").hidden = !this.state; }, lost: (text) => this._lost(text),
    });
    this.stage = new Stage(byId("instrument-stage"), {
      full: true, bars: true, appearance: () => this.menu, send: (message) => this._send(message), ready: () => this.backEnd.ready(),
      tools: (state) => this._tools(state), titles: (state) => this._titles(state), after: () => this._after(), onDraw: (frame) => this._panels(frame),
      onPaint: () => { document.body.dataset.painted = String(this.backEnd.answered ?? 0); }, moreKeys: this._keys(),
    });
    this._listen();
    if (this.backEnd.python) {
      this.why = new WhyPanel({ scene: () => this.state, busy: () => this.stage.playing || this.stage.drag, send: (message) => this.backEnd.send(message), appearance: () => this.menu });
    }
    this._showHandMade();
    this.backEnd.start();
  }

  get state() {
    return this.stage.state;
  }

  _send(message) {
    used = true;
    this.backEnd.send(message);
  }

  choose(change, drag = 0) {
    this._send({ do: "choose", change, drag });
  }

  /* ---- answers of the back end ---- */
  _menu(menu) {
    this.menu = menu;
    const names = Object.keys(menu.agents), grouped = new Set(Object.values(menu.groups).flat().map(([name]) => name));
    const rest = names.filter((name) => !grouped.has(name) && !Object.values(menu.checkpoints).some(([, one]) => one === name));
    const groups = { ...menu.groups, ...(rest.length && this.backEnd.python ? { "Your own": rest.map((name) => [name, name]) } : {}) };
    fillGroups(byId("agent"), groups);
    const others = new Set(menu.others);
    const offered = Object.fromEntries(Object.entries(groups).map(([group, list]) => [group, list.filter(([name]) => others.has(name))]).filter(([, list]) => list.length));
    fillGroups(byId("other"), offered, ["", "the same agent, its goal moved to the target"]);
    fillSelect(byId("family"), menu.families.map((name) => [name, name]));
    fillSelect(byId("shift"), Object.keys(menu.shifts).map((name) => [name, name === "none" ? "none: as in training" : name]));
    fillSelect(byId("method"), menu.methods.map((name) => [name, name]));
    fillSelect(byId("size"), menu.sizes.map((size) => [size, `${size} × ${size}`]));
    fillSelect(byId("site"), Object.keys(menu.sites).map((name) => [name, name]));
    fillSelect(byId("inspected-site"), menu.maps.map((name) => [name, name]));
    fillSelect(byId("preset"), [["", "choose a situation …"], ...menu.presets.map((preset, i) => [i, preset.title])]);
    byId("preset-row").hidden = !menu.presets.length;
    this.stage.toolbox.replaceChildren();
    delete this.stage.toolbox.dataset.list;
  }

  _show(state) {
    if (!this.menu) return;
    byId("banner").hidden = true;
    document.body.dataset.connection = "open";
    state.by_hand ??= state.settings.level !== null;
    state.about ??= state.by_hand ? "" : sentence(this.menu.shifts[state.settings.shift] ?? "");
    if (state.settings.other) state.names = { unedited: "left", edited: "right" };
    if (byId("status").dataset.busy) hideStatus();
    const before = this.state;
    this.stage.show(state);
    this._settings(state);
    this._keepHandMade(state);
    if (before && measuredSettings(before) !== measuredSettings(state)) this._clearMeasured();
    writeAddressSoon(state.link);
    this.stage.sendSoon();
  }

  _error(text) {
    showStatus(sentence(text), false, true);
    if (this.state) this._settings(this.state);
    this.stage.sendSoon();
  }

  _lost(text) {
    this.stage.play(false);
    byId("banner").textContent = text;
    byId("banner").hidden = false;
    document.body.dataset.connection = "lost";
  }

  _settings(state) {
    const { settings } = state, single = !state.sides.edited, edits = state.target >= 0, drawn = state.by_hand;
    byId("description").textContent = state.description;
    for (const name of [...CHOICES, "size", "seed", "index", "strength"]) setValue(byId(name), settings[name]);
    if (!byId("agent").value) this._checkpointOf(settings.agent);
    setValue(byId("inspected-site"), state.inspected_site);
    byId("strength-text").textContent = Number(settings.strength).toFixed(1);
    byId("agent-text").textContent = this._agentText(settings);
    byId("shift-text").textContent = drawn ? "Edited by hand, or from a link: this maze is not drawn from a distribution. It stays in the list below; Next goes to another one." : this.menu.shifts[settings.shift];
    document.body.dataset.drawn = String(drawn);
    byId("lamp-row").hidden = !(this.menu.shifts.lit && this.menu.shifts.unlit);
    byId("lamp").checked = state.sides.unedited.objects.some((object) => object.type === "lamp");
    byId("lamp").disabled = drawn;
    for (const id of ["method", "site", "strength", "edit", "effect-run"]) byId(id).disabled = single || !edits;
    byId("layers-run").disabled = Boolean(state.refusal);
    setValue(byId("ascii"), state.ascii || "This level cannot be written as text: two of its objects on one cell have no common letter.");
    if (this.backEnd.file) for (const form of FORMS) byId(form).href = this.backEnd.file(state.link, form);
    this._checkpoints(settings);
    this._tallyTable(state);
  }

  _agentText({ agent, other }) {
    const about = (name) => this.menu.agents[name] || "an agent of your own";
    return other ? `Left: ${about(agent)} Right: ${about(other)}` : about(agent);
  }

  /* Checkpoints along the training of the left agent. */
  _checkpoints({ agent }) {
    const { checkpoints } = this.menu, at = checkpoints.findIndex(([, name]) => name === agent), row = byId("checkpoint-row");
    row.hidden = at < 0;
    if (at < 0) return;
    byId("checkpoint").max = checkpoints.length - 1;
    setValue(byId("checkpoint"), at);
    byId("checkpoint-text").textContent = `after ${checkpoints[at][0].toLocaleString("en")} steps`;
    byId("checkpoint").setAttribute("aria-valuetext", byId("checkpoint-text").textContent);
  }

  /* The list of agents shows the agent that a checkpoint belongs to. */
  _checkpointOf(name) {
    const { checkpoints } = this.menu;
    if (checkpoints.some(([, one]) => one === name)) byId("agent").value = checkpoints[checkpoints.length - 1][1];
  }

  /* ---- the stage ---- */
  _tools(state) {
    const types = [...new Set(state.sides.unedited.objects.map((object) => object.type))].filter((type) => this.menu.object_types[type]?.still);
    return [...(state.target >= 0 ? ["target"] : []), "agent", ...types, "wall"].map((name) => ({ key: name, label: capitalised(name), moves: [name] }));
  }

  _titles({ settings }) {
    const short = (name) => name.replace(/^zoo:/, "");
    if (settings.other) return { unedited: ["Left", short(settings.agent)], edited: ["Right", short(settings.other)] };
    return { unedited: ["Unedited", short(settings.agent)], edited: ["Edited", "goal moved to the target"] };
  }

  /* What playing does at the end of an episode. */
  _after() {
    if (this.state.by_hand) {
      this.stage.play(false);
      showStatus("The level edited by hand stays. Play starts it again, Next goes to another level.");
    } else this.choose({ index: this.state.settings.index + 1 });
  }

  _keys() {
    const level = (by) => this.choose({ index: Math.max(0, this.state.settings.index + by) });
    const speed = (by) => {
      byId("speed").value = Number(byId("speed").value) + by;
      showStatus(`${byId("speed").value} steps per second`);
    };
    return {
      n: () => level(1), p: () => level(-1), v: () => nextOption("arrows"), o: () => nextOption("overlay"), "[": () => this._channel(this.stage.view.channel - 1), "]": () => this._channel(this.stage.view.channel + 1),
      "-": () => speed(-1), "+": () => speed(1), "=": () => speed(1), l: () => this._copyLink(), "?": () => byId("keys").showModal(),
    };
  }

  _panels(frame) {
    const { view } = this.stage, [plain, coloured] = arrowTexts(frame, view.arrows), name = frame.sides.edited ? "edited" : "unedited";
    byId("key-plain").textContent = plain;
    byId("key-edit").textContent = coloured;
    const atlas = byId("channels");
    atlas.hidden = !frame.scale.length;
    view.channel = Math.min(view.channel, Math.max(0, frame.scale.length - 1));
    if (byId("atlas").checkVisibility()) showChannels(atlas, asBytes(frame.sides[name].maps ?? frame.sides.unedited.maps), frame, view.overlay === "channel" ? view.channel : -1, (channel) => this._channel(channel));
    this._legend(frame);
  }

  _legend(frame) {
    const { view } = this.stage, pen = byId("legend").getContext("2d");
    for (let x = 0; x < 256; x++) {
      pen.fillStyle = rgb(rampColour(x / 255));
      pen.fillRect(x, 0, 1, 8);
    }
    byId("legend").parentElement.hidden = view.overlay === "none";
    byId("legend-text").replaceChildren(...legendTexts(frame, view).map((text) => element("span", {}, text)));
    byId("heading-text").textContent = readingText(frame);
  }

  _channel(channel) {
    const count = this.stage.frame.scale.length;
    if (!count) return;
    this.stage.view.channel = (channel + count) % count;
    this.stage.view.overlay = byId("overlay").value = "channel";
    this.stage.draw();
  }

  /* Counts of the episodes that were played here one by one. */
  _tallyTable({ tally, sides, names }) {
    const ends = [...new Set(Object.values(tally).flatMap((counts) => Object.keys(counts)))], body = byId("tally");
    body.parentElement.hidden = !ends.length;
    const row = (cells, head) => element("tr", {}, ...cells.map((text, i) => element(head || !i ? "th" : "td", head || !i ? { scope: head ? "col" : "row" } : {}, text)));
    body.replaceChildren(row(["", ...ends], true), ...Object.keys(sides).map((name) => row([names?.[name] ?? name, ...ends.map((end) => String(tally[name][end] || 0))])));
  }

  /* ---- what is measured on many mazes ---- */
  _measure(what) {
    const button = byId(`${what}-run`);
    if (button.dataset.label) {
      this._send({ do: "cancel" });
      this._measureEnds(what);
      return;
    }
    for (const other of MEASURES) this._measureEnds(other);
    button.dataset.label = button.textContent;
    button.textContent = "Stop";
    byId("measured").textContent = "Playing …";
    this._send({ do: "measure", what });
  }

  _measureEnds(what) {
    const button = byId(`${what}-run`);
    if (!button.dataset.label) return;
    button.textContent = button.dataset.label;
    delete button.dataset.label;
  }

  _measured(result) {
    const { what } = result;
    if (!byId(`${what}-run`).dataset.label) return;
    const chart = byId("measured-chart");
    byId("measured").textContent = this[`_${what}Text`](result);
    if (what === "effect" && (result.done || result.played % 5 === 0)) effectChart(chart, result.points, 3);
    if (what === "layers" && result.probes.length && result.probes[0].baseline !== null) probeChart(chart, result.probes, result.probes.findIndex((one) => one.site === this.state.inspected_site));
    chart.hidden = what === "tally" || !chart.children.length;
    if (result.done) this._measureEnds(what);
  }

  _clearMeasured() {
    for (const what of MEASURES) this._measureEnds(what);
    byId("measured").textContent = "";
    byId("measured-chart").replaceChildren();
    byId("measured-chart").hidden = true;
  }

  _tallyText({ counts, played }) {
    return Object.entries(counts).map(([name, ends]) => {
      const list = Object.entries(ends).sort((a, b) => b[1] - a[1]).map(([end, count]) => `${end === "nowhere" ? "nothing in time" : `the ${end}`} in ${rateText(count, played)}`);
      return `${capitalised(this.state.names?.[name] ?? name)} reached first: ${list.join(", ")}.`;
    }).join(" ");
  }

  _effectText({ played }) {
    return `Targets reached before the exit, on ${played} mazes at each strength.`;
  }

  _layersText({ probes }) {
    if (!probes.length) return "No probe could be fitted: the agent reaches goal and cue too rarely, or has no maps of cells.";
    const above = probes.filter((one) => one.above).map((one) => one.site);
    if (probes[0].baseline === null) return "There is no baseline for this kind of observation, so no layer counts as evidence.";
    return above.length ? `Above the observation at ${above.join(", ")}.` : "At no layer is the probe right more often than the same probe on the observation: no evidence of a goal inside.";
  }

  /* ---- mazes edited by hand stay in a list, whatever is opened next ---- */
  _keepHandMade(state) {
    if (!state.by_hand) { this._hand = null; return; }
    const { agent, other, family, size, target, level } = state.settings, entry = { agent, other, family, size, target, level };
    this._hand ??= this.handMade.find((one) => JSON.stringify(one.level) === JSON.stringify(level)) ?? this.handMade[this.handMade.push({}) - 1];
    Object.assign(this._hand, entry);
    this.handMade.splice(0, this.handMade.length - MOST_HAND_MADE);
    try { localStorage.setItem(HAND_MADE, JSON.stringify(this.handMade)); } catch { /* kept in this page alone */ }
    this._showHandMade();
  }

  _showHandMade() {
    byId("by-hand-row").hidden = !this.handMade.length;
    fillSelect(byId("by-hand"), [["", "choose a maze …"], ...this.handMade.map((one, i) => [i, `maze ${i + 1}: ${one.family}, ${one.size} × ${one.size}`])]);
    byId("by-hand").value = this._hand ? this.handMade.indexOf(this._hand) : "";
  }

  _openHandMade(entry) {
    if (!entry) return;
    this._hand = entry;
    this.choose(entry);
  }

  /* ---- links and files ---- */
  _copyLink() {
    copyText(this.backEnd.address(this.state.link), "The link was copied. It holds the whole scene and no secret.");
  }

  _paste() {
    const text = byId("ascii").value, link = text.includes("scene=");
    /* The server disconnects a page that sends very long frames. */
    if (text.length > 4096 && !link) showStatus(`The text has ${text.length} characters: a level has at most 4096.`, false, true);
    else this._send({ do: "paste", text });
  }

  /* Fetched first, so that a file that cannot be made gives a sentence and not a broken download. */
  async _download(form) {
    showStatus(`Making the ${form} file …`, true);
    try {
      const answer = await fetch(byId(form).href);
      if (!answer.ok) { showStatus(sentence(await answer.text()), false, true); return; }
      const link = element("a", { href: URL.createObjectURL(await answer.blob()), download: `goalmaze-${this.state.settings.index}.${form}` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      showStatus(`The ${form} file is ready.`);
    } catch { showStatus("The server cannot be reached.", false, true); }
  }

  /* ---- controls ---- */
  _listen() {
    const on = (id, event, act) => { byId(id)[event] = () => { if (this.state) act(byId(id)); }; };
    for (const id of CHOICES) on(id, "onchange", (control) => this.choose({ [id]: control.value }));
    on("size", "onchange", (control) => this.choose({ size: Number(control.value) }));
    for (const id of ["seed", "index"]) on(id, "onchange", (control) => this.choose({ [id]: Math.max(0, Math.floor(Number(control.value) || 0)) }));
    on("preset", "onchange", ({ value }) => { if (value !== "") this.choose({ other: "", ...this.menu.presets[value].change }); });
    on("checkpoint", "oninput", ({ value }) => {
      const { shift, size, index } = this.state.settings;
      this.choose({ agent: this.menu.checkpoints[value][1], shift, size, index });
    });
    // The same index under the other shift is the same maze, unless the trigger is the maze.
    on("lamp", "onchange", ({ checked }) => this.choose({ shift: checked ? "lit" : "unlit" }));
    let slide = 0;
    on("strength", "oninput", ({ value }) => {
      slide ||= newDrag();
      byId("strength-text").textContent = Number(value).toFixed(1);
      this.stage.soon("strength", { do: "choose", change: { strength: Number(value) }, drag: slide });
    });
    on("strength", "onchange", () => { slide = 0; });
    on("inspected-site", "onchange", ({ value }) => this._send({ do: "inspect", site: value }));
    for (const id of ["arrows", "overlay"]) on(id, "onchange", ({ value }) => { this.stage.view[id] = value; this.stage.draw(); });
    on("by-hand", "onchange", ({ value }) => this._openHandMade(this.handMade[value]));
    on("paste", "onclick", () => this._paste());
    on("copy-text", "onclick", () => copyText(this.state.ascii, "Level copied as text."));
    on("copy-link", "onclick", () => this._copyLink());
    on("cancel", "onclick", () => this._send({ do: "cancel" }));
    for (const what of MEASURES) on(`${what}-run`, "onclick", () => this._measure(what));
    byId("open-story").onclick = () => this.backEnd.openStory();
    byId("help").onclick = () => byId("keys").showModal();
    for (const form of FORMS) byId(form).onclick = (event) => { event.preventDefault(); this._download(form); };
    byId("atlas").addEventListener("toggle", () => { if (this.state) this.stage.draw(); });
    addEventListener("keydown", (event) => this._globalKey(event));
    addEventListener("hashchange", () => { if (location.hash.startsWith("#scene=") && location.hash.slice(7) !== this.state?.link) this._send({ do: "paste", text: location.hash }); });
    addEventListener("pagehide", writeAddress);
  }

  /* Keys act on the instrument where no other stage of the page has them. */
  _globalKey(event) {
    const { tagName } = event.target;
    if (byId("keys").open || ["INPUT", "SELECT", "TEXTAREA"].includes(tagName)) return;
    if (document.body.dataset.story === "yes" && !event.target.closest("#instrument")) return;
    if (["BUTTON", "A", "SUMMARY"].includes(tagName) && [" ", "Enter"].includes(event.key)) return;
    this.stage.key(event);
  }
}

const FORMS = ["html", "gif", "mp4", "png"], MEASURES = ["tally", "effect", "layers"];

function fillGroups(select, groups, first = null) {
  const options = (list) => list.map(([value, text]) => element("option", { value }, text));
  select.replaceChildren(...(first ? options([first]) : []), ...Object.entries(groups).map(([label, list]) => element("optgroup", { label }, ...options(list))));
}

function nextOption(id) {
  const select = byId(id);
  select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
  select.dispatchEvent(new Event("change"));
}

/* The settings on which what was measured depends. */
function measuredSettings({ settings }) {
  return ["agent", "other", "family", "shift", "size", "seed", "site", "method", "strength", "edit"].map((name) => settings[name]).join();
}

function asBytes(maps) {
  return maps === undefined ? maps : unpack(maps);
}

function readHandMade() {
  try { return JSON.parse(localStorage.getItem(HAND_MADE)) ?? []; } catch { return []; }
}

/* ---- the scene in the address: only the one after a pause, as browsers allow about 100 new addresses in 30 seconds ---- */
let addressTimer = 0, addressLink = "", used = false;

function writeAddressSoon(link) {
  clearTimeout(addressTimer);
  addressLink = link;
  /* A person who reads the story keeps its address until the instrument is used. */
  const reading = document.body.dataset.story === "yes" && !used && !location.hash.startsWith("#scene=");
  if (!reading && location.hash !== `#scene=${link}`) addressTimer = setTimeout(writeAddress, 400);
}

function writeAddress() {
  clearTimeout(addressTimer);
  if (!addressLink) return;
  try { history.replaceState(null, "", `${location.pathname}${location.search}#scene=${addressLink}`); } catch { addressTimer = setTimeout(writeAddress, 5000); }
}
