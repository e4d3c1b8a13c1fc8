/* What the live page says about a scene. */

function sentence(text) {
  return text[0].toUpperCase() + text.slice(1) + (/[.!?…)]$/.test(text) ? "" : ".");
}

function place(scene, cell) {
  return `row ${Math.floor(cell / scene.width)}, column ${cell % scene.width}`;
}

function objectsOn(scene, cell) {
  if (scene.walls[cell] === "1") return "into a wall, so it is wrong here";
  const objects = scene.sides.unedited.objects.filter((object) => object.cell === cell).map((object) => object.type);
  if (cell === scene.target) objects.push("target");
  return `at ${objects.length ? `the ${objects.join(" and ")}` : place(scene, cell)}`;
}

/* Return what the probe reads, beside the scores without which a reading says nothing. */
function readingText(scene) {
  const headings = Object.entries(scene.sides)
    .filter(([, side]) => side.heading !== undefined)
    .map(([name, side]) => `${name}: ${objectsOn(scene, side.heading)}`);
  if (!headings.length) {
    if (scene.refusal || !scene.scale.length) return "";
    return "No reading: the probe is still being fitted, or the agent reaches goal and cue too rarely to fit one.";
  }
  const { accuracy, baseline, mazes, above } = scene.probe;
  const worth = above ? "reads more than the observation shows" : "is no evidence of more than the observation shows";
  const beside = baseline === null
    ? "There is no baseline for this kind of observation, so it is no evidence."
    : `The same probe on the observation is right in ${baseline.toFixed(2)}, so it ${worth}.`;
  return `A probe for where the agent is heading points, ${headings.join("; ")}. `
    + `Unedited, it is right in ${accuracy.toFixed(2)} of ${mazes} other mazes. ${beside}`;
}
