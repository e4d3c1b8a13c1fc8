"use strict";
/* The last step of the story: the population and its audit; and how the goal of some of its agents forms. */

function auditWords() {
  const values = SEEDS.map((seed) => seed.measured.value).filter((value) => value !== null);
  return `Could we have known before? These ${SEEDS.length} networks were trained alike; only their random numbers differ. `
    + `In training mazes all look aligned. Where the sign is moved, they go to it in ${percent(Math.min(...values))} to ${percent(Math.max(...values))} of mazes. `
    + "An audit that saw no such maze predicted how often: one dot is one network, perfect predictions lie on the dashed line. Move the slider.";
}

function auditNote() {
  const solved = Math.min(...SEEDS.map((seed) => seed.solved.value));
  return `Each network solves at least ${percent(solved)} of training mazes. Access tier ${POPULATION.audit.tier}: weights, training mazes and drawn inputs, and no maze where sign and exit differ; calibrated on ${POPULATION.audit.calibration.fitted_on.length} agents of other recipes.`;
}

function startAudit() {
  const set = levelSet("moved-sign", POPULATION.size), slider = byId("audit-seed");
  const number = clearestLevel(set, (level) => spread(level, cellOf(level, "exit"), cellOf(level, "sign")), () => true);
  byId("audit-words").textContent = auditWords();
  byId("audit-note").textContent = auditNote();
  byId("audit-run").textContent = `Test this agent on ${set.levels.length} mazes here`;
  slider.max = SEEDS.length - 1;
  const stage = storyStage("audit", SEEDS[0].agent, () => ["Agent", `seed ${SEEDS[slider.value].seed}`], [MOVE_SIGN, MOVE_EXIT, MOVE_AGENT], set, number);
  const show = () => {
    const seed = SEEDS[slider.value], { predicted, measured } = seed;
    byId("audit-seed-text").textContent = `seed ${seed.seed}`;
    slider.setAttribute("aria-valuetext", `seed ${seed.seed}`);
    byId("audit-result").textContent = predictionText(predicted, measured);
    byId("audit-tally").textContent = "";
    auditChart(byId("audit-chart"), SEEDS, Number(slider.value), (i) => { slider.value = i; show(); });
    replaceAgent(stage, seed.agent);
  };
  slider.oninput = show;
  show();
  tallyButton("audit-run", "audit-tally", (say, done) => countSigns(SEEDS[slider.value].agent, set, (signs, reached) => {
    say(`Here it reached the sign first in ${rateText(signs, reached)} of the mazes where it reached either.`);
  }, done));
}

function predictionText(predicted, measured) {
  const going = { cue: "the sign", goal: "the exit", undecided: "no clear goal" }[predicted.pursues];
  const expected = predicted.preference === null
    ? "The audit made no prediction."
    : `Predicted: the sign in ${percent(predicted.preference)} (${rangeText(predicted.low, predicted.high)}), ${going}.`;
  if (measured.value === null) return expected;
  const inside = predicted.low !== null && measured.value >= predicted.low && measured.value <= predicted.high;
  const verdict = predicted.preference === null ? "" : inside ? ", inside the prediction" : ", outside of the prediction";
  return `${expected} Measured: ${percent(measured.value)} (${rangeText(measured.low, measured.high)}) on ${measured.levels} mazes${verdict}.`;
}

/* Count signs reached first among the episodes that reach sign or exit. */
function countSigns(agent, set, say, done) {
  let signs = 0, reached = 0;
  return playMany([...set.levels.keys()], (i, played) => {
    const outcome = outcomeOf(agent, set, i);
    signs += outcome === "sign";
    reached += outcome !== "nowhere";
    say(signs, reached, played);
  }, done);
}

function startFormation() {
  if (!FORMATION.length) { byId("formation").hidden = true; return; }
  const set = levelSet("moved-sign", POPULATION.size), select = byId("formation-agent"), slider = byId("formation-step");
  const number = clearestLevel(set, (level) => spread(level, cellOf(level, "exit"), cellOf(level, "sign")), () => true);
  select.append(...FORMATION.map(({ number: agent }, i) => {
    const { seed, measured } = SEEDS.find((one) => one.number === agent);
    return element("option", { value: i }, `seed ${seed}: in the end ${percent(measured.value)} for the sign`);
  }));
  slider.max = FORMATION[0].checkpoints.length - 1;
  slider.value = slider.max;
  const known = new Map();
  let stop = () => {};
  const words = () => `after ${FORMATION[select.value].checkpoints[slider.value].steps.toLocaleString("en")} steps`;
  const stage = storyStage("formation", FORMATION[0].checkpoints[0].agent, () => ["Agent", words()], [MOVE_SIGN, MOVE_EXIT, MOVE_AGENT], set, number);
  const show = () => {
    const { agent } = FORMATION[select.value].checkpoints[slider.value];
    byId("formation-text").textContent = words();
    slider.setAttribute("aria-valuetext", words());
    stop();
    stop = () => {};
    byId("formation-result").textContent = known.get(agent) ?? "";
    replaceAgent(stage, agent);
  };
  /* The tally waits for the first time that a person uses this part of the page. */
  const measure = () => {
    show();
    const { agent } = FORMATION[select.value].checkpoints[slider.value];
    if (known.has(agent)) return;
    let result = "";
    stop = countSigns(agent, set, (signs, reached, played) => {
      result = `Of ${played} mazes it reached sign or exit in ${reached}; the sign first in ${rateText(signs, reached)}.`;
      byId("formation-result").textContent = result;
    }, () => known.set(agent, result));
  };
  select.onchange = slider.oninput = measure;
  show();
}

startAudit();
startFormation();
