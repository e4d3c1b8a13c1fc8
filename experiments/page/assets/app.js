/* The live page: it draws the states that the server sends and sends what the user does. */
(() => {
  startTheme();
  const byId = (id) => document.getElementById(id);
  const token = new URLSearchParams(location.search).get("token") || "";
  const view = { arrows: "policy", overlay: "none", channel: 0, cursor: -1 };
  const boards = { unedited: byId("unedited"), edited: byId("edited") };
  let socket = null, number = 0, answered = 0, scene = null, menu = null, sprites = null;
  let playing = false, stepAsked = 0, tool = "target", drag = null, dragNumber = Date.now();
  let stepShown = performance.now(), painting = false, statusTimer = 0, lastOutcome = "", addressTimer = 0;

  /* ---- connection ---- */
  function connect() {
    const link = scene ? scene.link : location.hash.replace(/^#(scene=)?/, "");
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    socket = new WebSocket(`${scheme}://${location.host}/ws?token=${encodeURIComponent(token)}&scene=${encodeURIComponent(link)}`);
    socket.onmessage = (event) => receive(JSON.parse(event.data));
    socket.onopen = () => { number = answered = stepAsked = 0; unanswered = []; };
    socket.onclose = reconnect;
  }
  async function reconnect(event) {
    setPlaying(false);
    let text = "The server has stopped. The scene is kept. Reconnecting …";
    if (event.reason) text = sentence(event.reason);
    else {
      try {
        const answer = await fetch(`/alive?token=${encodeURIComponent(token)}`);
        if (answer.status === 403) text = "The server was restarted and has a new address: open the address that it printed.";
      } catch { /* no server; the text says so */ }
    }
    byId("banner").textContent = text;
    byId("banner").hidden = false;
    document.body.dataset.connection = "lost";
    setTimeout(connect, event.reason ? 2000 : 1000);
  }
  function send(message) {
    if (!socket || socket.readyState !== WebSocket.OPEN) return 0;
    socket.send(JSON.stringify({ ...message, n: ++number }));
    return number;
  }
  function receive(message) {
    if (message.kind === "menu") { menu = message; sprites = makeSprites(menu); fillMenu(); return; }
    if (message.kind === "busy") { showStatus(message.text, true); byId("cancel").hidden = !scene; return; }
    answered = Math.max(answered, message.n);
    if (message.kind === "error") { showStatus(sentence(message.text), false, true); if (scene) showScene(); sendSoon(); return; }
    const before = scene;
    scene = message;
    byId("banner").hidden = true;
    document.body.dataset.connection = "open";
    if (before && scene.sides.unedited.trail.length === before.sides.unedited.trail.length + 1 || before && scene.sides.edited && before.sides.edited && scene.sides.edited.trail.length === before.sides.edited.trail.length + 1) stepShown = performance.now();
    showScene();
    if (byId("status").dataset.busy) hideStatus();
    sendSoon();
  }

  /* ---- display ---- */
  function option(select, value, text) {
    select.append(Object.assign(document.createElement("option"), { value, textContent: text }));
  }
  function fill(id, pairs) {
    const select = byId(id);
    select.replaceChildren();
    for (const [value, text] of pairs) option(select, value, text);
  }
  function fillMenu() {
    fill("agent", Object.keys(menu.agents).map((name) => [name, name]));
    fill("family", menu.families.map((name) => [name, name]));
    fill("shift", Object.keys(menu.shifts).map((name) => [name, name]));
    fill("method", menu.methods.map((name) => [name, name]));
    fill("size", menu.sizes.map((size) => [size, `${size} × ${size}`]));
    const sites = Object.keys(menu.sites).map((name) => [name, name]);
    fill("site", sites);
    fill("inspected-site", menu.maps.map((name) => [name, name]));
    byId("tools").replaceChildren();
    if (scene) showScene();
  }
  function setValue(id, value) {
    const element = byId(id);
    if (document.activeElement !== element || element.tagName === "SELECT") element.value = value;
  }
  function showScene() {
    if (!menu || !scene) return;
    const settings = scene.settings, single = !scene.sides.edited;
    byId("description").textContent = scene.description;
    for (const id of ["agent", "family", "size", "shift", "seed", "index", "site", "method", "strength", "edit"]) setValue(id, settings[id]);
    setValue("inspected-site", scene.inspected_site);
    byId("strength-text").textContent = Number(settings.strength).toFixed(1);
    byId("agent-text").textContent = menu.agents[settings.agent] || "not an agent of the zoo";
    const drawn = settings.level !== null;
    byId("shift-text").textContent = drawn ? "Edited by hand: this maze is of no distribution any more. Next goes back to one." : `${menu.shifts[settings.shift]}`;
    document.body.dataset.drawn = String(drawn);
    byId("lamp-row").hidden = !(menu.shifts.lit && menu.shifts.unlit);
    byId("lamp").checked = scene.sides.unedited.objects.some((object) => object.type === "lamp");
    byId("lamp").disabled = drawn;
    byId("boards").classList.toggle("single", single);
    byId("figure-edited").hidden = single;
    for (const id of ["method", "site", "strength", "edit"]) byId(id).disabled = single;
    byId("undo").disabled = !scene.undo;
    byId("clock").textContent = `step ${Math.max(...Object.values(scene.sides).map((side) => side.trail.length - 1))} of ${scene.limit}`;
    for (const [name, side] of Object.entries(scene.sides)) {
      showOutcome(byId(`outcome-${name}`), side, scene.limit);
      boards[name].setAttribute("aria-label", `Maze of the ${name} agent. ${describe(name)}`);
    }
    setValue("ascii", scene.ascii || "This level cannot be written as text: two of its objects on one cell have no common letter.");
    const query = `?token=${encodeURIComponent(token)}&scene=${encodeURIComponent(scene.link)}`;
    for (const form of ["html", "gif", "mp4", "png"]) byId(form).href = `/export/episode.${form}${query}`;
    writeAddressSoon();
    showTools();
    showKey(single);
    showTally();
    showChannels();
    showLegend();
    announce();
    repaint();
  }
  function address() { return `${location.pathname}${location.search}#scene=${scene.link}`; }
  /* Browsers allow a page about 100 new addresses in 30 seconds, so only the scene after a pause gets one. */
  function writeAddressSoon() {
    clearTimeout(addressTimer);
    if (address() !== location.pathname + location.search + location.hash) addressTimer = setTimeout(writeAddress, 400);
  }
  function writeAddress() {
    clearTimeout(addressTimer);
    if (!scene) return;
    try { history.replaceState(null, "", address()); } catch { addressTimer = setTimeout(writeAddress, 5000); }
  }
  function describe(name) {
    const side = scene.sides[name];
    const objects = side.objects.map((object) => `${object.type}${object.hidden ? ", hidden from the agent," : ""} at ${place(scene, object.cell)}`);
    if (scene.target >= 0) objects.push(`target at ${place(scene, scene.target)}`);
    return `Agent at ${place(scene, side.agent)}; ${objects.join("; ")}. ${outcomeText(side, scene.limit)}.`;
  }
  function announce() {
    const text = Object.entries(scene.sides).map(([name, side]) => `${name} ${outcomeText(side, scene.limit)}`).join(", ");
    if (scene.finished && text !== lastOutcome) showStatus(`${text[0].toUpperCase()}${text.slice(1)}.`);
    lastOutcome = scene.finished ? text : "";
  }
  function showTally() {
    const ends = [...new Set(Object.values(scene.tally).flatMap((counts) => Object.keys(counts)))];
    const body = byId("tally");
    body.replaceChildren();
    body.parentElement.hidden = !ends.length;
    const row = (cells, head) => {
      const line = document.createElement("tr");
      cells.forEach((text, i) => {
        const cell = document.createElement(head || !i ? "th" : "td");
        cell.textContent = text;
        if (head || !i) cell.scope = head ? "col" : "row";
        line.append(cell);
      });
      body.append(line);
    };
    row(["", ...ends], true);
    for (const name of Object.keys(scene.sides)) row([name, ...ends.map((end) => scene.tally[name][end] || 0)]);
  }
  function toolList() {
    const types = [...new Set(scene.sides.unedited.objects.map((object) => object.type))].filter((type) => menu.object_types[type] && menu.object_types[type].still);
    return [...(scene.target >= 0 ? ["target"] : []), "agent", ...types, "wall"];
  }
  function showTools() {
    const list = toolList(), bar = byId("tools");
    if (!list.includes(tool)) tool = list[0];
    if (bar.dataset.list !== list.join() || !bar.children.length) {
      bar.dataset.list = list.join();
      bar.replaceChildren(...list.map((name, i) => {
        const button = document.createElement("button");
        button.type = "button";
        button.setAttribute("role", "radio");
        button.title = `key ${i + 1}`;
        button.dataset.tool = name;
        button.append(icon(name), name[0].toUpperCase() + name.slice(1));
        button.onclick = () => setTool(name);
        return button;
      }));
    }
    for (const button of bar.children) button.setAttribute("aria-checked", String(button.dataset.tool === tool));
    for (const canvas of Object.values(boards)) canvas.classList.toggle("walls", tool === "wall");
    const hint = { wall: "Drag to add walls; start on a wall to remove walls.", target: "Drag the target, or tap its new cell." };
    byId("hint").textContent = hint[tool] || `Drag the ${tool}, or tap its new cell.`;
  }
  function showKey(single) {
    const texts = {
      policy: ["Arrows: mean move of the policy in each cell; longer is more certain.", "Coloured: strongly changed by the edit."],
      change: ["Arrows: how the edit changes the mean move in each cell.", "Unchanged cells have no arrow."],
      none: ["", ""],
    }[view.arrows];
    byId("key-plain").textContent = single && view.arrows === "change" ? "There is no edit, so nothing changes." : texts[0];
    byId("key-edit").textContent = single ? "" : texts[1];
  }
  function icon(name) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 36;
    canvas.setAttribute("aria-hidden", "true");
    const pen = canvas.getContext("2d");
    if (name === "target") drawTarget(pen, 18, 18, 38, true);
    else if (name === "agent") drawAgent(pen, { agent: 0, trail: [0] }, () => [18, 18], 1, 44);
    else if (name === "wall") { pen.fillStyle = css("wall"); pen.fillRect(4, 4, 28, 28); pen.strokeStyle = css("faint"); pen.strokeRect(4, 4, 28, 28); }
    else if (sprites[name]) pen.drawImage(sprites[name], 1, 1, 34, 34);
    return canvas;
  }
  function setTool(name) {
    tool = name;
    view.cursor = name === "wall" && view.cursor < 0 ? scene.start : name === "wall" ? view.cursor : -1;
    showTools();
    repaint();
  }
  function showChannels() {
    const panel = byId("channels"), name = scene.sides.edited ? "edited" : "unedited";
    const count = scene.scale.length, cells = scene.width * scene.height;
    panel.hidden = !count;
    view.channel = Math.min(view.channel, Math.max(0, count - 1));
    if (panel.children.length !== count) {
      panel.replaceChildren(...Array.from({ length: count }, (_, i) => {
        const button = document.createElement("button");
        button.type = "button";
        button.setAttribute("role", "option");
        button.setAttribute("aria-label", `Channel ${i}`);
        button.title = `channel ${i}`;
        button.tabIndex = -1;
        button.append(document.createElement("canvas"));
        button.onclick = () => setChannel(i);
        return button;
      }));
    }
    if (!count || !byId("channels").checkVisibility()) return;
    const maps = unpack(scene.sides[name].maps);
    for (let i = 0; i < count; i++) {
      const button = panel.children[i], canvas = button.firstChild;
      button.setAttribute("aria-selected", String(view.overlay === "channel" && i === view.channel));
      if (canvas.width !== scene.width) canvas.width = canvas.height = scene.width;
      const pen = canvas.getContext("2d"), image = pen.createImageData(scene.width, scene.height);
      for (let cell = 0; cell < cells; cell++) image.data.set([...rampColour(maps[i * cells + cell] / 255), 255], 4 * cell);
      pen.putImageData(image, 0, 0);
    }
  }
  function showLegend() {
    const pen = byId("legend").getContext("2d");
    for (let x = 0; x < 256; x++) { pen.fillStyle = rgb(rampColour(x / 255)); pen.fillRect(x, 0, 1, 8); }
    byId("legend").parentElement.hidden = view.overlay === "none";
    const range = scene.scale[view.channel] || [0, 0];
    const ends = {
      channel: [range[0], `channel ${view.channel} of ${scene.inspected_site}`, range[1]], reading: ["0", "the probe's probability of the cell (square root)", "1"],
      changed: ["0", "change of the policy by the edit (total variation)", "1"], none: ["", "", ""],
    }[view.overlay];
    byId("legend-text").replaceChildren(...ends.map((text) => Object.assign(document.createElement("span"), { textContent: text })));
    byId("reading").textContent = readingText(scene);
  }
  function setChannel(channel) {
    const count = scene.scale.length;
    if (!count) return;
    view.channel = (channel + count) % count;
    view.overlay = byId("overlay").value = "channel";
    showChannels();
    showLegend();
    repaint();
  }
  function repaint() {
    if (painting) return;
    painting = true;
    requestAnimationFrame(paint);
  }
  function paint(now) {
    painting = false;
    if (!scene || !sprites) return;
    const length = reduced || drag ? 0 : Math.min(160, 700 / Number(byId("speed").value));
    const part = length ? Math.min(1, (now - stepShown) / length) : 1;
    for (const name of Object.keys(scene.sides)) {
      const moving = scene.sides[name].outcome === "walking" || part < 1;
      drawBoard(boards[name], scene, name, sprites, view, moving ? part : 1);
    }
    document.body.dataset.painted = String(answered);
    if (part < 1) repaint();
  }
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

  /* ---- playback ---- */
  function setPlaying(on) {
    playing = on && Boolean(scene);
    byId("play").textContent = playing ? "❚❚ Pause" : "▶ Play";
    byId("play").setAttribute("aria-pressed", String(playing));
    if (playing && scene.finished && drawnByHand()) stepAsked = send({ do: "restart" });
    if (playing) playStep();
  }
  const drawnByHand = () => scene.settings.level !== null;
  function playStep() {
    if (!playing) return;
    if (answered >= stepAsked && !drag) {
      if (scene.finished && drawnByHand()) {
        setPlaying(false);
        showStatus("The level edited by hand stays. Play starts it again, Next goes to another level.");
        return;
      }
      if (scene.finished) stepAsked = send({ do: "choose", change: { index: scene.settings.index + 1 } });
      else stepAsked = send({ do: "step" });
    }
    const pause = scene && scene.finished ? 1100 : 1000 / Number(byId("speed").value);
    setTimeout(playStep, pause);
  }
  const choose = (change) => send({ do: "choose", change });

  /* ---- dragging ---- */
  function cellAt(canvas, event) {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * scene.width);
    const row = Math.floor(((event.clientY - box.top) / box.height) * scene.height);
    if (row < 0 || column < 0 || row >= scene.height || column >= scene.width) return -1;
    return row * scene.width + column;
  }
  /* Return what a drag from a cell moves: first an object of the chosen type, then target, agent and the top object. */
  function objectAt(cell, name) {
    const side = scene.sides[name];
    const here = side.objects.filter((object) => object.cell === cell && menu.object_types[object.type].still);
    const chosen = here.find((object) => object.type === tool);
    if (chosen) return chosen;
    if (cell === scene.target) return { type: "target", which: 0 };
    if (cell === side.agent || cell === scene.start) return { type: "agent", which: 0 };
    return here.length ? here[here.length - 1] : null;
  }
  function canStand(type, cell) {
    if (cell < 0 || scene.walls[cell] === "1") return false;
    const objects = scene.sides.unedited.objects;
    if (type === "target") return true;
    if (type === "agent") return !objects.some((object) => object.cell === cell);
    return cell !== scene.start && !objects.some((object) => object.type === type && object.cell === cell);
  }
  /* Keep only the last cell of a drag: see `supersedes`. */
  function moveTo(object, cell) {
    if (!canStand(object.type, cell)) return;
    waiting.move = { do: "move", what: object.type, which: object.which || 0, cell, drag: dragNumber };
    sendSoon();
  }
  /* What drags and sliders send: at most one message of each in a frame, the latest, and few that are not answered. */
  const MAX_UNANSWERED = 2;
  const waiting = {};
  let unanswered = [], sending = false;
  function sendSoon() {
    if (sending || !Object.keys(waiting).length) return;
    sending = true;
    requestAnimationFrame(sendWaiting);
  }
  function sendWaiting() {
    sending = false;
    unanswered = unanswered.filter((sent) => sent > answered);
    if (unanswered.length >= MAX_UNANSWERED) return;
    for (const [name, message] of Object.entries(waiting)) {
      const sent = send(message);
      if (sent) unanswered.push(sent);
      delete waiting[name];
    }
  }
  function paintWall(cell) {
    if (cell < 0 || drag.last === cell) return;
    drag.last = cell;
    const up = drag.up;
    if ((scene.walls[cell] === "1") !== up) send({ do: "wall", cell, up, drag: dragNumber });
  }
  for (const [name, canvas] of Object.entries(boards)) {
    canvas.addEventListener("pointerdown", (event) => {
      if (!scene || event.button) return;
      const cell = cellAt(canvas, event);
      if (cell < 0) return;
      event.preventDefault();
      canvas.focus({ preventScroll: true });
      canvas.setPointerCapture(event.pointerId);
      dragNumber += 1;
      if (tool === "wall") {
        drag = { name, up: scene.walls[cell] !== "1", last: -1 };
        paintWall(cell);
        return;
      }
      let object = objectAt(cell, name);
      if (!object) {
        object = { type: tool, which: 0 };
        moveTo(object, cell);
      } else if (toolList().includes(object.type)) setTool(object.type);
      drag = { name, object, last: cell };
      canvas.classList.add("dragging");
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!drag || drag.name !== name) return;
      const cell = cellAt(canvas, event);
      if (!drag.object) paintWall(cell);
      else if (cell !== drag.last) { drag.last = cell; moveTo(drag.object, cell); }
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, () => { drag = null; canvas.classList.remove("dragging"); });
    }
  }

  /* ---- keys ---- */
  /* Move the chosen object to the next cell in a direction on which it can stand. */
  function moveByKey(right, down) {
    const from = tool === "wall" ? view.cursor : tool === "target" ? scene.target : tool === "agent" ? scene.start : scene.sides.unedited.objects.find((object) => object.type === tool).cell;
    let column = from % scene.width + right, row = Math.floor(from / scene.width) + down;
    while (row >= 0 && column >= 0 && row < scene.height && column < scene.width) {
      const cell = row * scene.width + column;
      if (tool === "wall") { view.cursor = cell; repaint(); showStatus(`${place(scene, cell)}: ${scene.walls[cell] === "1" ? "wall" : "floor"}`); return; }
      if (canStand(tool, cell)) { moveTo({ type: tool, which: 0 }, cell); return; }
      [column, row] = [column + right, row + down];
    }
  }
  const cycle = (id) => {
    const select = byId(id);
    select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
    select.dispatchEvent(new Event("change"));
  };
  const speed = (by) => { byId("speed").value = Number(byId("speed").value) + by; showStatus(`${byId("speed").value} steps per second`); };
  const keys = {
    " ": () => setPlaying(!playing), ".": () => send({ do: "step" }), r: () => send({ do: "restart" }),
    n: () => choose({ index: scene.settings.index + 1 }), p: () => choose({ index: Math.max(0, scene.settings.index - 1) }),
    u: () => send({ do: "undo" }), v: () => cycle("arrows"), o: () => cycle("overlay"),
    "[": () => setChannel(view.channel - 1), "]": () => setChannel(view.channel + 1), "-": () => speed(-1), "+": () => speed(1), "=": () => speed(1),
    l: () => copy(location.origin + address(), "Link copied. It opens this scene while this server is running."), "?": () => byId("keys").showModal(),
    ArrowUp: () => moveByKey(0, -1), ArrowDown: () => moveByKey(0, 1), ArrowLeft: () => moveByKey(-1, 0), ArrowRight: () => moveByKey(1, 0),
    Enter: () => { if (tool === "wall") { dragNumber += 1; send({ do: "wall", cell: view.cursor, up: scene.walls[view.cursor] !== "1", drag: dragNumber }); } },
  };
  addEventListener("keydown", (event) => {
    const tag = event.target.tagName;
    if (!scene || event.altKey || byId("keys").open) return;
    if ((event.ctrlKey || event.metaKey) && event.key === "z" && tag !== "TEXTAREA" && tag !== "INPUT") { event.preventDefault(); keys.u(); return; }
    if (event.ctrlKey || event.metaKey || ["INPUT", "SELECT", "TEXTAREA"].includes(tag)) return;
    if (["BUTTON", "A", "SUMMARY"].includes(tag) && [" ", "Enter"].includes(event.key)) return;
    const digit = Number(event.key);
    if (digit >= 1 && digit <= toolList().length) { setTool(toolList()[digit - 1]); return; }
    const act = keys[event.key] || keys[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    if (event.key.startsWith("Arrow") && !event.repeat) dragNumber += 1;
    act();
  });

  /* ---- controls ---- */
  async function copy(text, done) {
    try { await navigator.clipboard.writeText(text); showStatus(done); } catch { showStatus("The browser does not allow the page to copy; select the text instead."); }
  }
  for (const [id, key] of [["play", " "], ["step", "."], ["restart", "r"], ["next", "n"], ["undo", "u"], ["help", "?"], ["copy-link", "l"]])
    byId(id).onclick = () => { if (scene) keys[key](); };
  byId("theme").onclick = () => {
    switchTheme();
    repaint();
  };
  for (const id of ["agent", "family", "shift", "site", "method", "edit"]) byId(id).onchange = () => choose({ [id]: byId(id).value });
  // The same index under the other shift is the same maze, unless the trigger is the maze.
  byId("lamp").onchange = () => choose({ shift: byId("lamp").checked ? "lit" : "unlit" });
  byId("size").onchange = () => choose({ size: Number(byId("size").value) });
  for (const id of ["seed", "index"]) byId(id).onchange = () => choose({ [id]: Math.max(0, Math.floor(Number(byId(id).value) || 0)) });
  let slide = 0;
  byId("strength").oninput = () => {
    slide = slide || (dragNumber += 1);
    byId("strength-text").textContent = Number(byId("strength").value).toFixed(1);
    waiting.choice = { do: "choose", change: { strength: Number(byId("strength").value) }, drag: slide };
    sendSoon();
  };
  byId("strength").onchange = () => { slide = 0; };
  byId("inspected-site").onchange = () => send({ do: "inspect", site: byId("inspected-site").value });
  byId("arrows").onchange = () => { view.arrows = byId("arrows").value; showKey(!scene.sides.edited); repaint(); };
  byId("overlay").onchange = () => { view.overlay = byId("overlay").value; showChannels(); showLegend(); repaint(); };
  byId("paste").onclick = () => {
    const text = byId("ascii").value;
    /* The server disconnects a page that sends very long frames. */
    if (text.length > 4096) showStatus(`The text has ${text.length} characters: a level has at most 4096.`, false, true);
    else send({ do: "paste", text });
  };
  byId("copy-text").onclick = () => copy(scene.ascii, "Level copied as text.");
  byId("cancel").onclick = () => send({ do: "cancel" });
  for (const form of ["html", "gif", "mp4", "png"]) byId(form).onclick = (event) => { event.preventDefault(); download(form); };
  /* Fetched first, so that a file that cannot be made gives a sentence and not a broken download. */
  async function download(form) {
    showStatus(`Making the ${form} file …`, true);
    try {
      const answer = await fetch(byId(form).href);
      if (!answer.ok) { showStatus(sentence(await answer.text()), false, true); return; }
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await answer.blob());
      link.download = `goalmaze-${scene.settings.index}.${form}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      showStatus(`The ${form} file is ready.`);
    } catch { showStatus("The server cannot be reached.", false, true); }
  }
  byId("channels").onkeydown = (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -8, ArrowDown: 8 }[event.key];
    if (by) { event.preventDefault(); event.stopPropagation(); setChannel(view.channel + by); }
  };
  addEventListener("resize", repaint);
  addEventListener("pagehide", writeAddress);
  connect();
})();
