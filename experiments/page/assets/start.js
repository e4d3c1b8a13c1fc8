"use strict";
/* Starts the page: light or dark, the words, and the instrument over its back end. */

startTheme();
byId("theme").onclick = () => {
  switchTheme();
  dispatchEvent(new Event("resize"));
};
explainWords();
const INSTRUMENT = new Instrument((on) => (document.body.dataset.backEnd === "python" ? new SocketBackEnd(on) : new StaticBackEnd(on)));
if (location.hash.startsWith("#scene=") && document.body.dataset.story === "yes") byId("instrument").scrollIntoView();
