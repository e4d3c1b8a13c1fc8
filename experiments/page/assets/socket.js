"use strict";
/* The back end of the instrument in Python: the server of `goalmaze live`, over a websocket. */

class SocketBackEnd {
  /* `on`: menu(menu), state(state), error(text), busy(text), measured(result), lost(text). */
  constructor(on) {
    Object.assign(this, { on, python: true, link: "", number: 0, answered: 0, unanswered: [], socket: null });
    this.token = new URLSearchParams(location.search).get("token") || "";
  }

  start() {
    const link = this.link || (location.hash.startsWith("#scene=") ? location.hash.slice(7) : "");
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/ws?token=${encodeURIComponent(this.token)}&scene=${encodeURIComponent(link)}`);
    this.socket.onmessage = (event) => this._receive(JSON.parse(event.data));
    this.socket.onopen = () => Object.assign(this, { number: 0, answered: 0, unanswered: [] });
    this.socket.onclose = (event) => this._reconnect(event);
  }

  async _reconnect(event) {
    let text = "The server has stopped. The scene is kept. Reconnecting …";
    if (event.reason) text = sentence(event.reason);
    else {
      try {
        const answer = await fetch(`/alive?token=${encodeURIComponent(this.token)}`);
        if (answer.status === 403) text = "The server was restarted and has a new address: open the address that it printed.";
      } catch { /* no server; the text says so */ }
    }
    this.on.lost(text);
    setTimeout(() => this.start(), event.reason ? 2000 : 1000);
  }

  _receive(message) {
    if (message.kind === "state") this.link = message.link;
    if (message.kind === "state" || message.kind === "error") this.answered = Math.max(this.answered, message.n);
    this.on[message.kind](message.kind === "error" || message.kind === "busy" ? message.text : message);
  }

  send(message) {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.number += 1;
    this.socket.send(JSON.stringify({ ...message, n: this.number }));
    this.unanswered.push(this.number);
  }

  /* Whether another message of a drag can be sent: few may be without an answer. */
  ready() {
    this.unanswered = this.unanswered.filter((number) => number > this.answered);
    return this.unanswered.length < MAX_UNANSWERED;
  }

  /* The address of a scene in a copy of the page that others can open, where the server has been given one; else here.
   * It never holds the token of this launch. */
  address(link) {
    return `${document.body.dataset.copy || `${location.origin}${location.pathname}`}#scene=${link}`;
  }

  /* Open the page with the story, whose networks run in the browser; the server writes it when it is first asked for. */
  async openStory() {
    const token = `token=${encodeURIComponent(this.token)}`;
    showStatus("The server writes the story: agents, edits and the audit of 64 agents. This takes some minutes …", true);
    try {
      const answer = await fetch(`/story/data.js?${token}`);
      if (answer.ok) location.href = `/story?${token}`;
      else showStatus(sentence(await answer.text()), false, true);
    } catch { showStatus("The server cannot be reached.", false, true); }
  }

  /* The address of the scene as a file. */
  file(link, form) {
    return `/export/episode.${form}?token=${encodeURIComponent(this.token)}&scene=${encodeURIComponent(link)}`;
  }
}
