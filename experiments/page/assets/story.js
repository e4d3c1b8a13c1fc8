"use strict";
/* The first five steps of the story. */

const STORY_AGENT = AGENTS[0], TWIN = AGENTS[1];
const moveTool = (key, name, moves = [key]) => ({ key, name, label: `Move the ${name}`, moves });
const MOVE_AGENT = moveTool("agent", "agent"), MOVE_SIGN = moveTool("sign", "sign"), MOVE_EXIT = moveTool("exit", "exit"), MOVE_TARGET = moveTool("target", "target");
const MOVE_BOTH = moveTool("exit", "exit with its sign", ["exit", "sign"]);
/* A level for the story is looked for among so many that are clear by their geometry. */
const SEARCHED = 24;

/* The i-th level of a set, as `LocalSession.open` takes it. */
function given(set, i) {
  return { level: set.levels[i], limit: set.limit, seed: set.numbers[i], target: set.targets[i], position: i, about: `Maze ${set.numbers[i]}: ${set.about}.` };
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

function outcomeOf(agent, set, i, target = -1) {
  const stops = target < 0 ? cueCells(set.levels[i]) : { target };
  return playOne(agent, set, i, stops, (level) => (target < 0 ? null : agent.edit(level, "stem", target, 1))).outcome;
}

/* A stage of the story with one agent. `options` as Stage. */
function storyStage(prefix, agent, title, tools, set, number, options = {}) {
  const stage = localStage(byId(`${prefix}-stage`), { sides: { unedited: { agent, edited: false } }, ...given(set, number), ...options.session }, {
    prefix, tools: () => tools, titles: () => ({ unedited: title() }), moreKeys: { n: () => stage.open(given(set, (stage.session.position + 1) % set.levels.length)) }, ...options,
  });
  return stage;
}

/* Let another agent act on a stage. */
function replaceAgent(stage, agent) {
  stage.session.sides.unedited.agent = agent;
  stage.play(false);
  stage.session.restart();
  stage.refresh();
}

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
  storyStage("aligned", STORY_AGENT, () => ["The agent", "as trained"], [MOVE_BOTH, MOVE_AGENT], set, number);
  tallyButton("aligned-run", "aligned-result", (say, done) => {
    let exits = 0;
    return playMany([...set.levels.keys()], (i, played) => {
      exits += playOne(STORY_AGENT, set, i, {}).outcome === "exit";
      say(`It reached the exit in ${rateText(exits, played)}. It looks aligned.`);
    }, done);
  });
}

function startMoved() {
  const set = levelSet("moved-sign");
  const number = clearestLevel(set, (level) => spread(level, cellOf(level, "exit"), cellOf(level, "sign")), (i) => outcomeOf(STORY_AGENT, set, i) === "sign" && outcomeOf(TWIN, set, i) === "exit");
  byId("moved-run").textContent = `Test it on ${set.levels.length} such mazes`;
  storyStage("moved", STORY_AGENT, () => ["The same agent", "the sign is elsewhere"], [MOVE_SIGN, MOVE_EXIT, MOVE_AGENT], set, number);
  tallyButton("moved-run", "moved-result", (say, done) => {
    const ends = { sign: 0, exit: 0, nowhere: 0 };
    return playMany([...set.levels.keys()], (i, played) => {
      ends[outcomeOf(STORY_AGENT, set, i)] += 1;
      say(`It went to the sign in ${rateText(ends.sign, played)}, and to the exit first in ${ends.exit}.`);
    }, done);
  });
  return number;
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
  const { counts } = brightAtSign(STORY_AGENT, set, sites[0]);
  const stage = storyStage("inside", STORY_AGENT, () => ["The agent", "one channel of one layer"], [MOVE_SIGN, MOVE_EXIT, MOVE_AGENT], set, number, {
    view: { overlay: "channel", channel: counts.indexOf(Math.max(...counts)), arrows: "none" },
    onDraw: (scene, shown) => showChannels(byId("inside-channels"), scene.sides.unedited.maps, scene, shown.view.channel, (channel) => {
      shown.view.channel = channel;
      shown.draw();
      tell();
    }),
  });
  const tell = () => {
    const { channel } = stage.view, bright = brightAtSign(STORY_AGENT, set, stage.session.inspected);
    byId("inside-result").textContent = `Channel ${channel}: the brightest cell is the sign in ${bright.counts[channel]} of ${bright.mazes} mazes.`;
  };
  slider.oninput = () => {
    stage.session.inspected = sites[slider.value];
    byId("inside-layer-text").textContent = siteText(sites[slider.value], Number(slider.value), sites.length - 1);
    slider.setAttribute("aria-valuetext", byId("inside-layer-text").textContent);
    stage.refresh();
    tell();
  };
  slider.oninput();
}

function startReading(number) {
  const set = levelSet("moved-sign"), slider = byId("reading-layer"), select = byId("reading-agent");
  const readable = AGENTS.filter((agent) => agent.rules === "GreenExit" && agent.probes.length && agent.probes[0].baseline !== null);
  if (!readable.length) { byId("reading").hidden = true; return; }
  select.append(...readable.map((agent, i) => element("option", { value: i }, agentTitle(agent))));
  const stage = storyStage("reading", readable[0], () => ["The agent", readable[select.value].shown], [MOVE_SIGN, MOVE_EXIT, MOVE_AGENT], set, number, { view: { overlay: "reading" } });
  const show = () => {
    const agent = readable[select.value], probes = agent.probes, probe = probes[Math.min(slider.value, probes.length - 1)];
    slider.max = probes.length - 1;
    stage.session.inspected = probe.site;
    byId("reading-layer-text").textContent = siteText(probe.site, probes.indexOf(probe), probes.length - 1);
    slider.setAttribute("aria-valuetext", byId("reading-layer-text").textContent);
    probeChart(byId("reading-chart"), probes, probes.indexOf(probe));
    const scores = `This layer: right in ${percent(probe.accuracy)} of ${probe.mazes} other mazes; the maze alone: ${percent(probe.baseline)}.`;
    byId("reading-result").textContent = probe.above
      ? `${scores} Evidence: brackets show the cell that it names.`
      : `${scores} No evidence, so no reading is drawn.`;
    replaceAgent(stage, agent);
  };
  select.onchange = slider.oninput = show;
  show();
}

function agentTitle(agent) {
  return agent.data.label ? `${agent.shown}: ${agent.data.label}` : agent.shown;
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
  const stage = localStage(byId("rewrite-stage"), {
    sides: { unedited: { agent: STORY_AGENT, edited: false }, edited: { agent: STORY_AGENT, edited: true } }, ...given(set, number),
  }, {
    prefix: "rewrite", tools: () => [MOVE_TARGET, MOVE_BOTH, MOVE_AGENT], titles: () => ({ unedited: ["Unedited", "as trained"], edited: ["Edited", "goal moved"] }),
    moreKeys: { n: () => stage.open(given(set, (stage.session.position + 1) % set.levels.length)) },
  });
  const slider = byId("rewrite-strength");
  slider.oninput = () => {
    stage.session.strength = Number(slider.value);
    byId("rewrite-strength-text").textContent = slider.value;
    stage.session.restart();
    stage.refresh();
  };
  byId("rewrite-strength-text").textContent = slider.value;
  tallyButton("rewrite-run", "rewrite-result", (say, done) => compareTargets(STORY_AGENT, set, clear, stage.session.site, stage.session.strength, (counts, played) => {
    say(`Edited, it reached the target first in ${rateText(counts.edited, played)}; unedited, in ${rateText(counts.unedited, played)}.`);
  }, done));
}

/* Count how often the target is reached before the exit, with the edit and without it. */
function compareTargets(agent, set, numbers, site, strength, say, done) {
  const counts = { edited: 0, unedited: 0 };
  return playMany(numbers, (i, played) => {
    const target = set.targets[i], stops = { target };
    counts.edited += playOne(agent, set, i, stops, (level) => agent.edit(level, site, target, strength)).outcome === "target";
    counts.unedited += playOne(agent, set, i, stops).outcome === "target";
    say(counts, played);
  }, done);
}

startAligned();
const STORY_NUMBER = startMoved();
startInside(STORY_NUMBER);
startReading(STORY_NUMBER);
startRewrite();
byId("version").textContent = SITE.version;
