"use strict";
/* The first five steps of the story. */

const STORY_AGENT = AGENTS[0], TWIN = AGENTS[1];
const MOVE_AGENT = { key: "agent", label: "agent", moves: ["agent"] }, MOVE_SIGN = { key: "sign", label: "sign", moves: ["sign"] };
const MOVE_EXIT = { key: "exit", label: "exit", moves: ["exit"] }, MOVE_TARGET = { key: "target", label: "target", moves: ["target"] };
const MOVE_BOTH = { key: "exit", label: "exit with its sign", moves: ["exit", "sign"] };
/* A level for the story is looked for among so many that are clear by their geometry. */
const SEARCHED = 24;

function given(set, number) {
  return {
    level: set.levels[number], limit: set.limit, row: number, target: set.targets[number], set, number,
    about: `Maze ${number}: ${set.about}.`,
  };
}

/* Return the number of the level of a set that `score` (of the maze alone) ranks highest among those that `clear`
 * accepts, where `clear` may play; the best one where it accepts none of the first. */
function clearestLevel(set, score, clear) {
  const ranked = [...set.levels.keys()].sort((a, b) => score(set.levels[b], b) - score(set.levels[a], a)).slice(0, SEARCHED);
  return ranked.find(clear) ?? ranked[0];
}

/* Far apart, and about equally far from the agent. */
function spread(level, first, second) {
  const from = distancesFrom(level, level.start), between = distancesFrom(level, first)[second];
  return between - 2 * Math.abs(from[first] - from[second]);
}

function outcomeOf(agent, set, number, target = -1) {
  const level = set.levels[number], stops = target < 0 ? { sign: cellOf(level, "sign") } : { target };
  return agent.play(level, set.limit, number, stops, (one) => (target < 0 ? null : agent.edit(one, "stem", target, 1))).outcome;
}

const onlySide = (agent, title, note) => [{ key: "unedited", title, note, agent, edited: false }];

/* A button that plays many levels and keeps a text with the tally. `play(each, done)` starts it. */
function tallyButton(id, output, play) {
  const button = byId(id), text = button.textContent;
  let stop = null;
  const end = () => { stop = null; button.textContent = text; };
  button.onclick = () => {
    if (stop) { stop(); end(); return; }
    button.textContent = "Stop";
    stop = play((words) => { byId(output).textContent = words; }, end);
  };
}

function startAligned() {
  const set = levelSet("none");
  const number = clearestLevel(set, (level) => distancesFrom(level, level.start)[cellOf(level, "exit")], (i) => outcomeOf(STORY_AGENT, set, i) === "exit");
  byId("aligned-run").textContent = `Test it on ${set.levels.length} new mazes`;
  const stage = new Stage(byId("aligned-stage"), { prefix: "aligned", sides: onlySide(STORY_AGENT, "The agent", "as trained"), tools: [MOVE_BOTH, MOVE_AGENT], level: given(set, number), onNext: () => next(stage, set) });
  tallyButton("aligned-run", "aligned-result", (say, done) => {
    const ends = { exit: 0 };
    return playMany(STORY_AGENT, set.levels, set.limit, () => ({}), () => null, (episode, i) => {
      ends[episode.outcome] = (ends[episode.outcome] ?? 0) + 1;
      say(`It reached the exit in ${rateText(ends.exit, i + 1)}. It looks aligned.`);
    }, done);
  });
}

function next(stage, set) {
  stage.setLevel(given(set, (stage.number + 1) % set.levels.length));
}

function startMoved() {
  const set = levelSet("moved-sign");
  const number = clearestLevel(set, (level) => spread(level, cellOf(level, "exit"), cellOf(level, "sign")), (i) => outcomeOf(STORY_AGENT, set, i) === "sign" && outcomeOf(TWIN, set, i) === "exit");
  byId("moved-run").textContent = `Test it on ${set.levels.length} such mazes`;
  const stage = new Stage(byId("moved-stage"), { prefix: "moved", sides: onlySide(STORY_AGENT, "The same agent", "the sign is elsewhere"), tools: [MOVE_SIGN, MOVE_EXIT, MOVE_AGENT], level: given(set, number), onNext: () => next(stage, set) });
  tallyButton("moved-run", "moved-result", (say, done) => {
    let signs = 0, exits = 0;
    return playMany(STORY_AGENT, set.levels, set.limit, (level) => ({ sign: cellOf(level, "sign") }), () => null, (episode, i) => {
      signs += episode.outcome === "sign";
      exits += episode.outcome === "exit";
      say(`It went to the sign in ${rateText(signs, i + 1)}, and to the exit first in ${exits}.`);
    }, done);
  });
  return number;
}

/* Fill a list of channels, drawn from the maps of a frame. */
function showChannels(host, maps, level, chosen, choose) {
  const cells = level.walls.length, channels = maps.length / cells;
  if (host.children.length !== channels) {
    host.replaceChildren(...Array.from({ length: channels }, (_, i) => element("button", { type: "button", role: "option", tabindex: "-1", "aria-label": `channel ${i}` }, element("canvas"))));
    host.onkeydown = (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 8, ArrowUp: -8 }[event.key];
      if (!by) return;
      event.preventDefault();
      const now = [...host.children].findIndex((one) => one.getAttribute("aria-selected") === "true");
      host.onchoose((now + by + channels) % channels);
    };
  }
  host.onchoose = choose;
  [...host.children].forEach((button, channel) => {
    button.onclick = () => choose(channel);
    button.setAttribute("aria-selected", String(channel === chosen));
    const canvas = button.firstChild;
    canvas.width = canvas.height = level.size;
    const pen = canvas.getContext("2d"), image = pen.createImageData(level.size, level.size);
    for (let cell = 0; cell < cells; cell++) {
      image.data.set([...rampColour(maps[channel * cells + cell] / 255), 255], 4 * cell);
    }
    pen.putImageData(image, 0, 0);
  });
}

/* Return for each channel of a layer in how many mazes its highest value lies on the sign. */
function brightAtSign(agent, set, site) {
  const levels = set.levels.slice(0, SEARCHED), counts = new Array(agent.network.channels).fill(0);
  for (const level of levels) {
    const { maps } = agent.at(level, level.start, null, [site]), sign = cellOf(level, "sign"), cells = level.walls.length;
    counts.forEach((_, channel) => {
      const map = maps[site].subarray(channel * cells, (channel + 1) * cells);
      counts[channel] += map.every((value) => value <= map[sign]) && map.some((value) => value < map[sign]);
    });
  }
  return { counts, mazes: levels.length };
}

function siteText(site, number, count) {
  return { stem: "first layer", stem_relu: "first layer, negative parts cut off" }[site] ?? `layer ${number} of ${count}`;
}

function startInside(number) {
  const set = levelSet("moved-sign"), sites = STORY_AGENT.network.sites, slider = byId("inside-layer");
  slider.max = sites.length - 1;
  const stage = new Stage(byId("inside-stage"), {
    prefix: "inside", sides: onlySide(STORY_AGENT, "The agent", "one channel of one layer"), tools: [MOVE_SIGN, MOVE_EXIT, MOVE_AGENT], level: given(set, number),
    view: { overlay: "channel", channel: 0, arrows: "none", site: sites[0] }, onNext: () => next(stage, set),
  });
  const tell = () => {
    const bright = brightAtSign(STORY_AGENT, set, stage.view.site);
    byId("inside-result").textContent = `Channel ${stage.view.channel}: the brightest cell is the sign in ${bright.counts[stage.view.channel]} of ${bright.mazes} mazes.`;
  };
  stage.onDraw = (scene) => showChannels(byId("inside-channels"), scene.sides.unedited.maps, stage.level, stage.view.channel, (channel) => {
    stage.view.channel = channel;
    stage.draw();
    tell();
  });
  slider.oninput = () => {
    stage.view.site = sites[slider.value];
    byId("inside-layer-text").textContent = siteText(stage.view.site, Number(slider.value), sites.length - 1);
    slider.setAttribute("aria-valuetext", byId("inside-layer-text").textContent);
    stage.draw();
    tell();
  };
  const { counts } = brightAtSign(STORY_AGENT, set, sites[0]);
  stage.view.channel = counts.indexOf(Math.max(...counts));
  slider.oninput();
}

function startReading(number) {
  const set = levelSet("moved-sign"), slider = byId("reading-layer"), select = byId("reading-agent");
  const readable = AGENTS.filter((agent) => agent.probes.length && agent.probes[0].baseline !== null);
  if (!readable.length) { byId("reading").hidden = true; return; }
  select.append(...readable.map((agent, i) => element("option", { value: i }, agentTitle(agent))));
  const stage = new Stage(byId("reading-stage"), {
    prefix: "reading", sides: onlySide(readable[0], "The agent", ""), tools: [MOVE_SIGN, MOVE_EXIT, MOVE_AGENT], level: given(set, number),
    view: { overlay: "reading" }, onNext: () => next(stage, set),
  });
  const show = () => {
    const agent = readable[select.value], probes = agent.probes, probe = probes[Math.min(slider.value, probes.length - 1)];
    slider.max = probes.length - 1;
    stage.sides[0].agent = agent;
    stage.view.site = probe.site;
    stage.canvases.unedited.note.textContent = agent.name;
    byId("reading-layer-text").textContent = siteText(probe.site, probes.indexOf(probe), probes.length - 1);
    slider.setAttribute("aria-valuetext", byId("reading-layer-text").textContent);
    probeChart(byId("reading-chart"), probes, probes.indexOf(probe));
    const scores = `This layer: right in ${percent(probe.accuracy)} of ${probe.mazes} other mazes; the maze alone: ${percent(probe.baseline)}.`;
    byId("reading-result").textContent = probe.above
      ? `${scores} Evidence: brackets show the cell that it names.`
      : `${scores} No evidence, so no reading is drawn.`;
    stage.changed();
  };
  select.onchange = slider.oninput = show;
  show();
}

function agentTitle(agent) {
  return agent.data.label ? `${agent.name}: ${agent.data.label}` : agent.name;
}

function startRewrite() {
  const set = levelSet("none");
  const off = (level, target) => {
    const from = distancesFrom(level, level.start), exit = cellOf(level, "exit");
    return from[exit] + distancesFrom(level, exit)[target] !== from[target];
  };
  const clear = [...set.levels.keys()].filter((i) => off(set.levels[i], set.targets[i]));
  const number = clearestLevel(set, (level, i) => (clear.includes(i) ? spread(level, cellOf(level, "exit"), set.targets[i]) : -99),
    (i) => clear.includes(i) && outcomeOf(STORY_AGENT, set, i, set.targets[i]) === "target" && outcomeOf(STORY_AGENT, set, i) === "exit");
  byId("rewrite-run").textContent = `Test it on ${clear.length} targets`;
  const stage = new Stage(byId("rewrite-stage"), {
    prefix: "rewrite", tools: [MOVE_TARGET, MOVE_BOTH, MOVE_AGENT], level: given(set, number), onNext: () => next(stage, set),
    sides: [
      { key: "unedited", title: "Unedited", note: "as trained", agent: STORY_AGENT, edited: false },
      { key: "edited", title: "Edited", note: "goal moved", agent: STORY_AGENT, edited: true },
    ],
  });
  const slider = byId("rewrite-strength");
  slider.oninput = () => {
    stage.strength = Number(slider.value);
    byId("rewrite-strength-text").textContent = slider.value;
    stage.changed();
  };
  byId("rewrite-strength-text").textContent = slider.value;
  tallyButton("rewrite-run", "rewrite-result", (say, done) => compareTargets(STORY_AGENT, set, clear, stage.site, stage.strength, say, done));
}

/* Count how often the target is reached before the exit, with the edit and without it. */
function compareTargets(agent, set, numbers, site, strength, say, done) {
  const levels = numbers.map((i) => set.levels[i]), targets = numbers.map((i) => set.targets[i]), plain = [];
  let edited = 0, unedited = 0;
  const stops = (_, i) => ({ target: targets[i] });
  return playMany(agent, levels, set.limit, stops, (level, i) => agent.edit(level, site, targets[i], strength), (episode, i) => {
    edited += episode.outcome === "target";
    plain[i] = agent.play(levels[i], set.limit, i, stops(levels[i], i)).outcome === "target";
    unedited += plain[i];
    say(`Edited, it reached the target first in ${rateText(edited, i + 1)}; unedited, in ${rateText(unedited, i + 1)}.`);
  }, done);
}

startAligned();
const STORY_NUMBER = startMoved();
startInside(STORY_NUMBER);
startReading(STORY_NUMBER);
startRewrite();
byId("version").textContent = SITE.version;
