"use strict";
/* Why does the agent go there? The server's explanation of the next decision, in words and as a picture. */

class WhyPanel {
  /* `scene()` returns the state on the screen, `busy()` whether it is about to change, `send(message)` asks the server. */
  constructor({ scene, busy, send, appearance }) {
    Object.assign(this, { scene, busy, send, appearance, asked: "", answer: null });
    byId("why-panel").addEventListener("toggle", () => this.ask());
    /* Not at every state: while an episode plays or a drag goes on, nothing is asked. */
    setInterval(() => this.ask(), 250);
    addEventListener("resize", () => this.paint());
  }

  /* Ask once for each state, while the panel is open. */
  ask() {
    const state = this.scene();
    if (!byId("why-panel").open || !state || this.busy()) return;
    const moment = `${state.link} ${state.sides.unedited.trail.join()}`;
    if (moment === this.asked) return;
    this.asked = moment;
    this.send({ do: "why" });
  }

  show(answer) {
    this.answer = answer;
    this.shown = this.scene();
    byId("why-words").textContent = answer.words;
    byId("why-rows").replaceChildren(...answer.rows.map(({ element: name, without, value }) => element("li", {}, `${value > 0 ? "+" : "−"}${Math.abs(value).toFixed(1)} ${name}; otherwise: ${without}`)));
    byId("why-trust").textContent = answer.trust;
    byId("why-trust").classList.toggle("untrusted", answer.trusted !== true);
    byId("why-picture").hidden = !answer.rows.length;
    this.paint();
  }

  /* Blue squares speak for the move and vermilion ones against it, which signs show as well. */
  paint() {
    if (!this.answer?.rows.length || !byId("why-panel").open) return;
    const canvas = byId("why-heat"), { heat } = this.answer, scene = this.shown;
    if (heat.length !== scene.walls.length) return;
    drawBoard(canvas, { ...scene, target: -1 }, "unedited", spritesOf(this.appearance()), { arrows: "none", overlay: "none", channel: 0, cursor: -1 });
    const pen = canvas.getContext("2d"), cell = canvas.width / scene.width, most = Math.max(...heat.map(Math.abs), 1e-9);
    heat.forEach((value, index) => {
      const part = Math.abs(value) / most;
      if (part < 0.05) return;
      const x = (index % scene.width) * cell, y = Math.floor(index / scene.width) * cell, role = value > 0 ? "series" : "agent";
      pen.fillStyle = css(role, 0.15 + 0.5 * part);
      pen.fillRect(x, y, cell, cell);
      if (part < 0.2) return;
      pen.strokeStyle = css("outline");
      pen.lineWidth = Math.max(1.5, cell * 0.06);
      pen.beginPath();
      pen.moveTo(x + cell * 0.08, y + cell * 0.18);
      pen.lineTo(x + cell * 0.28, y + cell * 0.18);
      if (value > 0) {
        pen.moveTo(x + cell * 0.18, y + cell * 0.08);
        pen.lineTo(x + cell * 0.18, y + cell * 0.28);
      }
      pen.stroke();
    });
    canvas.setAttribute("aria-label", `The squares that drive the move: ${this.answer.rows.map(({ element: name }) => name).join(", ")}`);
  }
}
