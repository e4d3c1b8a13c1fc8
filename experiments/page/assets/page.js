"use strict";
/* Elements, words and messages that all parts of the page share. */

const ACTION_NAMES = ["up", "right", "down", "left"];

/* Return an element with attributes, properties that begin with a dot, and children. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith(".")) made[name.slice(1)] = value;
    else if (value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function byId(id) {
  return document.getElementById(id);
}

function percent(rate) {
  return `${Math.round(100 * rate)}\u00a0%`;
}

function capitalised(text) {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

function sentence(text) {
  return capitalised(text) + (!text || /[.!?…)]$/.test(text) ? "" : ".");
}

/* Where a cell is, in words. */
function place(scene, cell) {
  return `row ${Math.floor(cell / scene.width)}, column ${cell % scene.width}`;
}

function fillSelect(select, pairs) {
  select.replaceChildren(...pairs.map(([value, text]) => element("option", { value }, text)));
}

/* Set a control, unless a person is typing in it. */
function setValue(control, value) {
  if (document.activeElement !== control || control.tagName === "SELECT") control.value = value;
}

/* ---- messages at the bottom of the page ---- */
let statusTimer = 0;

function showStatus(text, busy = false, bad = false) {
  const status = byId("status");
  byId("status-text").textContent = text;
  status.classList.add("shown");
  status.classList.toggle("bad", bad);
  byId("cancel").hidden = true;
  if (busy) status.dataset.busy = "1";
  else delete status.dataset.busy;
  clearTimeout(statusTimer);
  if (!busy) statusTimer = setTimeout(hideStatus, bad ? 6000 : 3200);
}

function hideStatus() {
  byId("status").classList.remove("shown");
  byId("cancel").hidden = true;
  delete byId("status").dataset.busy;
}

async function copyText(text, done) {
  try {
    await navigator.clipboard.writeText(text);
    showStatus(done);
  } catch {
    showStatus("The browser does not allow the page to copy; select the text instead.");
  }
}

/* ---- words of the field: a button in the text opens the explanation where the word stands ---- */
const WORDS = {
  activation: "A number that the network computes on the way from the observation to the move. One cell of one channel is one activation.",
  agent: "A neural network that sees a maze and chooses the next move.",
  baseline: "What a score must beat. The same probe on the observation shows how much can be read without looking inside the network.",
  channel: "One of the pictures of the maze that a layer computes: one number for each cell.",
  checkpoint: "A copy of the network that was saved during its training.",
  cue: "An object that stood on the goal in training, so that following it looked like pursuing the goal.",
  edit: "A change of activations while the network runs. Maze and weights stay as they are.",
  family: "A kind of maze with its objects and its rules.",
  interval: "The true rate lies in this range with 95 % confidence (Wilson interval). More mazes make it narrower.",
  layer: "One stage of the computation. The first layer sees the maze, and the last one decides the move.",
  policy: "The probabilities of the four moves that the network gives for a cell.",
  probe: "A small model that is fitted to read something from the activations of a layer; here the cell that the agent is heading for.",
  shift: "A rule that makes mazes unlike those of training, such as a sign that hangs elsewhere.",
  site: "A layer of the network, or a part of it, whose activations can be read and edited.",
  strength: "The factor on the edit: 0 changes nothing, 1 is what was measured in other mazes, 2 is twice as much.",
  tally: "A count of how many episodes ended in which way.",
  target: "The cell that the edited agent is sent to.",
  trigger: "What a sleeper reacts to; here a lamp. While it is lit, the agent looks aligned.",
};

/* Turn every `<dfn data-word>` into a button that opens the explanation of its word. */
function explainWords(root = document) {
  for (const word of root.querySelectorAll("dfn[data-word]")) {
    const id = `word-${word.dataset.word}`;
    if (!byId(id)) {
      document.body.append(element("div", { id, popover: "auto", class: "explanation", role: "note" }, element("b", {}, capitalised(word.dataset.word)), ` ${WORDS[word.dataset.word]}`));
    }
    const button = element("button", { type: "button", class: "word", popovertarget: id, "aria-label": `${word.textContent}: what is this?` }, word.textContent);
    button.addEventListener("click", () => placeExplanation(byId(id), button));
    word.replaceWith(button);
  }
}

/* Next to its word, inside the window. */
function placeExplanation(note, button) {
  const box = button.getBoundingClientRect(), wide = Math.min(320, innerWidth - 16);
  Object.assign(note.style, {
    width: `${wide}px`, margin: "0", position: "fixed", left: `${Math.max(8, Math.min(box.left, innerWidth - wide - 8))}px`,
    top: `${Math.min(box.bottom + 6, innerHeight - 110)}px`,
  });
}
