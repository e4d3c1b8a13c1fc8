"use strict";
/* What the page says about a scene. */

/* Return what the probe reads, beside the scores without which a reading says nothing. A cell is named only where the
 * reading is evidence, and never a wall. */
function readingText(scene) {
  if (!scene.probe) {
    if (scene.refusal || !scene.scale.length) return "";
    return "No reading: the probe is still being fitted, or the agent reaches goal and cue too rarely to fit one.";
  }
  const { accuracy, baseline, mazes, above } = scene.probe;
  const scores = `A probe for where the agent is heading is right in ${accuracy.toFixed(2)} of ${mazes} mazes that it was not fitted on. `;
  if (baseline === null) return `${scores}There is no baseline for this kind of observation, so it is no evidence, and no cell is shown.`;
  const beside = `${scores}The same probe on the observation is right in ${baseline.toFixed(2)}. `;
  if (!above) return `${beside}This reading is no evidence of more than the observation shows, so no cell is shown.`;
  const names = Object.entries(scene.sides).map(([name, side]) => `${scene.names?.[name] ?? name}: ${headingText(scene, side)}`);
  return `${beside}It reads more than the observation shows. Brackets show the cell, ${names.join("; ")}.`;
}

function headingText(scene, side) {
  if (side.heading === undefined || scene.walls[side.heading] === "1") return "no cell, as the highest score is not on a free one";
  const objects = side.objects.filter((object) => object.cell === side.heading).map((object) => object.type);
  if (side.heading === scene.target) objects.push("target");
  return objects.length ? `the ${objects.join(" and ")}` : place(scene, side.heading);
}

/* Return what the arrows mean: in plain colour, and in the colour of the edit. */
function arrowTexts(scene, arrows) {
  const texts = {
    policy: ["Arrows: mean move of the policy in each cell; longer is more certain.", "Coloured: strongly changed by the edit."],
    change: ["Arrows: how the edit changes the mean move in each cell.", "Unchanged cells have no arrow."],
    none: ["", ""],
  }[arrows];
  if (!scene.changed) return [arrows === "change" ? "There is no edit, so nothing changes." : texts[0], ""];
  return texts;
}

/* Return the two ends of the legend and what lies between. */
function legendTexts(scene, view) {
  const range = scene.scale[view.channel] || [0, 0];
  return {
    channel: [range[0].toFixed(2), `channel ${view.channel} of ${scene.inspected_site}`, range[1].toFixed(2)],
    reading: ["0", "the probe's probability of the cell (square root)", "1"],
    changed: ["0", "change of the policy by the edit (total variation)", "1"], none: ["", "", ""],
  }[view.overlay];
}
