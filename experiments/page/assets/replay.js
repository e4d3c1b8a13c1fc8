/* The replay of one episode in a file. */
(() => {
  startTheme();
  const byId = (id) => document.getElementById(id);
  const { first, frames, appearance } = JSON.parse(byId("data").textContent);
  const sprites = makeSprites(appearance), names = Object.keys(first.sides);
  const view = { arrows: "policy", overlay: "none", channel: 0, cursor: -1 };
  let at = 0, timer = 0;

  function sceneAt(number) {
    const frame = frames[number], sides = {};
    for (const name of names) sides[name] = { ...first.sides[name], ...frame.sides[name] };
    return { ...first, ...frame, sides };
  }
  function show() {
    const scene = sceneAt(at);
    byId("description").textContent = first.description;
    byId("clock").textContent = `step ${at} of ${frames.length - 1}`;
    byId("at").value = at;
    for (const name of names) {
      drawBoard(byId(name), scene, name, sprites, view);
      showOutcome(byId(`outcome-${name}`), scene.sides[name], scene.limit);
    }
  }
  function play(on) {
    clearInterval(timer);
    timer = 0;
    if (on) {
      if (at === frames.length - 1) at = 0;
      timer = setInterval(() => {
        at = Math.min(at + 1, frames.length - 1);
        show();
        if (at === frames.length - 1) play(false);
      }, 180);
    }
    byId("play").textContent = on ? "❚❚ Pause" : "▶ Play";
    byId("play").setAttribute("aria-pressed", String(on));
    show();
  }
  byId("at").max = frames.length - 1;
  byId("boards").classList.toggle("single", names.length < 2);
  byId("figure-edited").hidden = names.length < 2;
  byId("play").onclick = () => play(!timer);
  byId("at").oninput = () => { at = Number(byId("at").value); show(); };
  byId("arrows").onchange = () => { view.arrows = byId("arrows").value; show(); };
  byId("theme").onclick = () => {
    switchTheme();
    show();
  };
  addEventListener("resize", show);
  play(!reduced);
})();
