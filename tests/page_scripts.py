"""Scripts that tests run in the live page."""

OPEN = "document.body.dataset.connection === 'open' && document.body.dataset.painted !== undefined"
SCENE = "JSON.parse(atob(location.hash.replace('#scene=', '').replaceAll('-', '+').replaceAll('_', '/')))"
DRAWING = """(() => { const board = document.getElementById('NAME'), side = board.width / SIZE;
 const c = new OffscreenCanvas(64, 64), pen = c.getContext('2d', {willReadFrequently: true});
 pen.drawImage(board, CELL % SIZE * side, Math.floor(CELL / SIZE) * side, side, side, 0, 0, 64, 64);
 return pen.getImageData(0, 0, 64, 64).data.reduce((h, v) => (h * 31 + v) | 0, 0); })()"""

FLOOD = """(async () => {
  const board = document.getElementById('edited'), box = board.getBoundingClientRect(), cells = CELLS;
  HTMLElement.prototype.setPointerCapture = () => {};
  const along = (index) => (index + 0.5) * box.width / 9;
  const at = (cell) => ({ pointerId: 1, button: 0, bubbles: true,
    clientX: box.left + along(cell % 9), clientY: box.top + along(Math.floor(cell / 9)) });
  const fire = (type, cell) => board.dispatchEvent(new PointerEvent(type, at(cell)));
  const send = WebSocket.prototype.send, began = performance.now(), painted = new Set();
  let moves = 0, frames = 0, events = 0, last = 0, going = true;
  WebSocket.prototype.send = function (text) { moves += JSON.parse(text).do === 'move'; return send.call(this, text); };
  const frame = () => {
    frames += 1;
    const now = document.body.dataset.painted;
    if (!painted.has(now)) { painted.add(now); last = performance.now() - began; }
    if (going) requestAnimationFrame(frame);
  };
  frame();
  fire('pointerdown', cells[0]);
  while (performance.now() - began < MILLISECONDS) {
    while (events < (performance.now() - began) * 0.24) fire('pointermove', cells[++events % (cells.length - 1)]);
    await new Promise((done) => setTimeout(done, 4));
  }
  fire('pointermove', cells[cells.length - 1]);
  fire('pointerup', cells[cells.length - 1]);
  going = false;
  return { events, moves, frames, painted: painted.size, last };
})()"""
"""A script that drags the target at 240 events a second, over `CELLS` to the last of them, and counts what happens."""

LIMITED_ADDRESSES = """(() => { window.addresses = 0; const replace = history.replaceState.bind(history);
  history.replaceState = (...values) => {
    if (++window.addresses > 10) throw new DOMException('too many', 'SecurityError');
    replace(...values);
  }; })()"""
"""A script that limits new addresses as browsers do, only earlier: they throw at the 101st in 30 seconds."""

OVERLAPS = """(() => {
  const texts = 'h1, h2, .description, figcaption b, figcaption span, output, summary, .hint, .key, .note, '
    + '.words p, .caption, .lead, caption, .chart text';
  const controls = 'button, .button, select, input, textarea, canvas[tabindex]';
  const leaves = [...document.querySelectorAll(texts + ', ' + controls)]
    .filter((e) => e.checkVisibility() && (e.matches(controls) || e.textContent.trim()))
    .filter((e) => !e.closest('dialog, .status, .channels, .skip'))
    .filter((e) => getComputedStyle(e.closest('.bar') || e).position !== 'fixed');
  const boxes = leaves.map((e) => e.getBoundingClientRect()), found = [];
  const name = (i) => leaves[i].id || leaves[i].textContent;
  for (let i = 0; i < boxes.length; i++) {
    if (boxes[i].right > innerWidth + 1) found.push([name(i), 'beyond the edge']);
    const cut = leaves[i].matches('button, .button, b, output, p') && leaves[i].scrollWidth > leaves[i].clientWidth + 1
      && leaves[i].clientWidth;
    if (cut) found.push([name(i), 'cut off']);
    for (let j = 0; j < i; j++) {
      if (leaves[i].contains(leaves[j]) || leaves[j].contains(leaves[i])) continue;
      const wide = Math.min(boxes[i].right, boxes[j].right) - Math.max(boxes[i].left, boxes[j].left);
      const high = Math.min(boxes[i].bottom, boxes[j].bottom) - Math.max(boxes[i].top, boxes[j].top);
      if (wide > 1 && high > 1) found.push([name(j), name(i)]);
    }
  }
  return found; })()"""
"""A script that gives the pairs of visible controls and texts that overlap, and what is cut off."""
