"use strict";
/* Drawing a scene on a canvas, for the live page and the replay. */

/* Cells to the right and down of the actions up, right, down, left. */
const MOVES = [[0, -1], [1, 0], [0, 1], [-1, 0]];
/* Total variation of 0.2 in one byte. */
const STRONG_CHANGE = 51;
const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;

/* Return bytes; text is base64. */
function unpack(text) {
  if (typeof text !== "string") return text;
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

function rampColour(value) {
  const points = ramp(), at = Math.min(0.9999, Math.max(0, value)) * (points.length - 1);
  const low = points[Math.floor(at)], high = points[Math.floor(at) + 1], part = at % 1;
  return low.map((channel, i) => Math.round(channel + (high[i] - channel) * part));
}

/* Colours that were asked for, until the theme or the colours that the reader forces change. */
const colours = new Map();
const forcedColours = matchMedia("(forced-colors: active)");

/* Return red, green and blue of the custom property of a role. */
function look(role) {
  if (!colours.has(role)) {
    const probe = document.documentElement.appendChild(document.createElement("i"));
    /* Without this, a reader's forced colours replace every colour that is computed. */
    probe.style.cssText = `forced-color-adjust: none; color: var(--${role})`;
    colours.set(role, getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number));
    probe.remove();
  }
  return colours.get(role);
}

function css(role, alpha = 1) {
  return rgb(look(role), alpha);
}

/* Return the points of the colour map, from low to high. */
function ramp() {
  if (!colours.has("ramp")) {
    const points = getComputedStyle(document.documentElement).getPropertyValue("--ramp").trim().split(/\s+/);
    colours.set("ramp", points.map((point) => [1, 3, 5].map((at) => parseInt(point.slice(at, at + 2), 16))));
  }
  return colours.get("ramp");
}

function rgb(colour, alpha = 1) {
  return `rgb(${colour[0]} ${colour[1]} ${colour[2]} / ${alpha})`;
}

/* Return one image for each object type: its shape in its colour over its rim. */
function makeSprites(appearance) {
  const sprites = {}, fill = () => fillSprites(sprites, appearance);
  fill();
  forcedColours.addEventListener("change", () => { colours.clear(); fill(); dispatchEvent(new Event("resize")); });
  return sprites;
}

function fillSprites(sprites, appearance) {
  const side = appearance.mask;
  for (const [name, type] of Object.entries(appearance.object_types)) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = side;
    const context = canvas.getContext("2d"), image = context.createImageData(side, side);
    const shape = unpack(type.shape), rim = unpack(type.rim), dark = look("rim");
    for (let i = 0; i < side * side; i++) {
      const part = shape[i] / 255;
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = type.colour[c] * part + dark[c] * (1 - part);
      image.data[4 * i + 3] = Math.max(shape[i], rim[i]);
    }
    context.putImageData(image, 0, 0);
    sprites[name] = canvas;
  }
}

/* Return the mean move, right and down, of a cell's packed probabilities. */
function meanMove(probabilities, cell) {
  let right = 0, down = 0;
  for (let action = 0; action < 4; action++) {
    right += (probabilities[4 * cell + action] / 255) * MOVES[action][0];
    down += (probabilities[4 * cell + action] / 255) * MOVES[action][1];
  }
  return [right, down];
}

/* Draw an arrow in a colour, over a wider one in the colour `under` where that is given. */
function drawArrow(pen, x, y, right, down, cell, colour, under) {
  const length = Math.hypot(right, down);
  if (length < 0.04) return;
  const reach = 0.36 * cell, head = (0.12 + 0.14 * length) * cell, angle = Math.atan2(down, right);
  const tipX = x + right * reach, tipY = y + down * reach, width = Math.max(1, cell * (0.045 + 0.045 * length));
  pen.beginPath();
  pen.moveTo(x - right * reach, y - down * reach);
  pen.lineTo(tipX, tipY);
  pen.moveTo(tipX - head * Math.cos(angle - 0.6), tipY - head * Math.sin(angle - 0.6));
  pen.lineTo(tipX, tipY);
  pen.lineTo(tipX - head * Math.cos(angle + 0.6), tipY - head * Math.sin(angle + 0.6));
  if (under) {
    pen.strokeStyle = under;
    pen.lineWidth = width + Math.max(2, cell * 0.07);
    pen.stroke();
  }
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.stroke();
}

/* Return the values that colour the floor, one byte a cell, or null. */
function overlayValues(scene, name, view) {
  const side = scene.sides[name], cells = scene.height * scene.width;
  let bytes = null;
  if (view.overlay === "channel" && side.maps) {
    bytes = unpack(side.maps).subarray(view.channel * cells, (view.channel + 1) * cells);
  } else if (view.overlay === "reading" && side.reading) bytes = unpack(side.reading);
  else if (view.overlay === "changed" && scene.changed && name === "edited") bytes = unpack(scene.changed);
  return bytes && bytes.length === cells ? bytes : null;
}

/* Draw one agent's maze. `part`, 0 to 1, is how far the agent is drawn from its previous cell to its current one. */
function drawBoard(canvas, scene, name, sprites, view, part = 1) {
  const side = scene.sides[name];
  const shown = Math.round((canvas.clientWidth || 400) * Math.min(devicePixelRatio || 1, 3));
  if (canvas.width !== shown) canvas.width = canvas.height = shown;
  const pen = canvas.getContext("2d"), width = scene.width, cell = shown / width;
  const at = (index) => [(index % width + 0.5) * cell, (Math.floor(index / width) + 0.5) * cell];
  const box = (index, inset) => [(index % width) * cell + inset, Math.floor(index / width) * cell + inset, cell - 2 * inset, cell - 2 * inset];
  pen.clearRect(0, 0, shown, shown);
  pen.lineCap = pen.lineJoin = "round";
  const values = overlayValues(scene, name, view);
  const floor = css("floor"), wall = css("wall"), grid = css("grid");
  for (let index = 0; index < scene.walls.length; index++) {
    const solid = scene.walls[index] === "1";
    const [x, y, w, h] = box(index, 0);
    pen.fillStyle = solid ? wall : floor;
    pen.fillRect(Math.floor(x), Math.floor(y), Math.ceil(w) + 1, Math.ceil(h) + 1);
    if (values) {
      pen.fillStyle = rgb(rampColour(values[index] / 255), solid ? 0.55 : 0.95);
      pen.fillRect(Math.floor(x), Math.floor(y), Math.ceil(w) + 1, Math.ceil(h) + 1);
    } else if (!solid && cell > 9) {
      pen.strokeStyle = grid;
      pen.lineWidth = 1;
      pen.strokeRect(Math.floor(x) + 0.5, Math.floor(y) + 0.5, Math.ceil(w), Math.ceil(h));
    }
  }
  if (side.trail.length > 1) {
    pen.beginPath();
    side.trail.slice(0, part < 1 ? -1 : undefined).forEach((index, i) => (i ? pen.lineTo(...at(index)) : pen.moveTo(...at(index))));
    for (const [role, width] of [["rim", 0.17], ["trail", 0.1]]) {
      pen.strokeStyle = css(role);
      pen.lineWidth = cell * width;
      pen.stroke();
    }
  }
  drawField(pen, scene, name, view, values, at, cell);
  /* Objects on one cell are drawn over each other, each a little smaller. */
  const onCell = {};
  for (const object of side.objects) {
    const sprite = sprites[object.type], inset = 0.1 * cell + 0.02 * cell * (onCell[object.cell] || 0);
    onCell[object.cell] = (onCell[object.cell] || 0) + 1;
    /* The agent's observation no longer shows this object. */
    pen.globalAlpha = object.hidden ? 0.3 : 1;
    if (sprite) pen.drawImage(sprite, ...box(object.cell, inset));
    pen.globalAlpha = 1;
  }
  if (scene.target >= 0) drawTarget(pen, ...at(scene.target), cell, name === "edited");
  if (view.overlay === "reading" && side.heading !== undefined) drawBracket(pen, ...box(side.heading, cell * 0.06), cell);
  drawAgent(pen, side, at, part, cell);
  if (view.cursor >= 0) {
    for (const [role, width] of [["outline", 0.14], ["arrow-on-colour", 0.06]]) {
      pen.strokeStyle = css(role);
      pen.lineWidth = Math.max(2, cell * width);
      pen.strokeRect(...box(view.cursor, cell * 0.07));
    }
  }
}

function drawField(pen, scene, name, view, values, at, cell) {
  if (view.arrows === "none") return;
  const probabilities = unpack(scene.sides[name].probabilities), plain = css("arrow"), edit = css("changed-arrow");
  const changed = name === "edited" && scene.changed ? unpack(scene.changed) : null;
  const before = view.arrows === "change" ? unpack(scene.sides.unedited.probabilities) : null;
  if (before && !changed) return;
  for (let index = 0; index < scene.walls.length; index++) {
    if (!probabilities.subarray(4 * index, 4 * index + 4).some(Boolean)) continue;
    if (index === scene.sides[name].agent || (name === "edited" && index === scene.target)) continue;
    let [right, down] = meanMove(probabilities, index);
    if (before) {
      const old = meanMove(before, index);
      [right, down] = [(right - old[0]) / 2, (down - old[1]) / 2];
    }
    const stronglyChanged = changed && changed[index] > STRONG_CHANGE;
    pen.globalAlpha = values || stronglyChanged || forcedColours.matches ? 1 : 0.7;
    /* Over a coloured floor, an outline keeps both kinds of arrows visible on every colour. */
    if (!values) drawArrow(pen, ...at(index), right, down, cell, stronglyChanged ? edit : plain);
    else if (stronglyChanged) drawArrow(pen, ...at(index), right, down, cell, css("changed-arrow"), css("arrow-on-colour"));
    else drawArrow(pen, ...at(index), right, down, cell, css("arrow-on-colour"), css("outline"));
  }
  pen.globalAlpha = 1;
}

/* Draw two rings in the edited agent's maze and one dashed ring in the other. */
function drawTarget(pen, x, y, cell, edited) {
  pen.strokeStyle = css("ring", edited ? 1 : 0.55);
  pen.setLineDash(edited ? [] : [cell * 0.12, cell * 0.12]);
  for (const [radius, width] of [[0.4, 0.1], [0.2, 0.08]]) {
    if (edited) {
      pen.save();
      pen.strokeStyle = css("rim", 0.9);
      pen.lineWidth = cell * (width + 0.06);
      pen.beginPath();
      pen.arc(x, y, radius * cell, 0, 7);
      pen.stroke();
      pen.restore();
    }
    pen.lineWidth = cell * width;
    pen.beginPath();
    pen.arc(x, y, radius * cell, 0, 7);
    pen.stroke();
    if (!edited) break;
  }
  pen.setLineDash([]);
}

function drawBracket(pen, x, y, w, h, cell) {
  const leg = cell * 0.26;
  for (const [colour, extra] of [[css("outline"), 0.07], [css("arrow-on-colour"), 0]]) {
    pen.strokeStyle = colour;
    pen.lineWidth = cell * (0.08 + extra);
    pen.beginPath();
    for (const [cx, cy, sx, sy] of [[x, y, 1, 1], [x + w, y, -1, 1], [x, y + h, 1, -1], [x + w, y + h, -1, -1]]) {
      pen.moveTo(cx + sx * leg, cy);
      pen.lineTo(cx, cy);
      pen.lineTo(cx, cy + sy * leg);
    }
    pen.stroke();
  }
}

function drawAgent(pen, side, at, part, cell) {
  let [x, y] = at(side.agent);
  if (part < 1 && side.trail.length > 1) {
    const [fromX, fromY] = at(side.trail[side.trail.length - 2]);
    [x, y] = [fromX + (x - fromX) * part, fromY + (y - fromY) * part];
  }
  pen.beginPath();
  pen.arc(x, y, cell * 0.3, 0, 7);
  pen.fillStyle = css("agent");
  pen.fill();
  pen.lineWidth = cell * 0.07;
  pen.strokeStyle = css("agent-rim");
  pen.stroke();
  pen.beginPath();
  pen.arc(x, y, cell * 0.34, 0, 7);
  pen.lineWidth = Math.max(1, cell * 0.03);
  pen.strokeStyle = css("rim");
  pen.stroke();
}

function outcomeText(side, limit) {
  const steps = side.trail.length - 1;
  const texts = { walking: steps ? `${steps} steps` : "at the start", nowhere: "ran out of time", over: "episode over" };
  return texts[side.outcome] || `reached the ${side.outcome}`;
}

function showOutcome(element, side, limit) {
  element.textContent = outcomeText(side, limit);
  const ends = { walking: "walking", nowhere: "nowhere", over: "other", target: "target" };
  element.dataset.end = ends[side.outcome] || "other";
}

/* Switch between light and dark; the caller draws again. */
function switchTheme() {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  colours.clear();
}

function startTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const set = (theme) => { document.documentElement.dataset.theme = theme; colours.clear(); };
  set(dark.matches ? "dark" : "light");
  dark.addEventListener("change", () => { set(dark.matches ? "dark" : "light"); dispatchEvent(new Event("resize")); });
}
