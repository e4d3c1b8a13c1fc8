"use strict";
/* Charts as SVG, with the same numbers in words for those who do not see them. */

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const CHART = { width: 360, height: 220, left: 66, right: 10, top: 12, bottom: 38 };

function chartFrame(host, text, xLabel, yLabel, xTicks, yTicks) {
  const { width, height, left, right, top, bottom } = CHART;
  const x = (value) => left + value * (width - left - right), y = (value) => height - bottom - value * (height - top - bottom);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": text });
  for (const [at, label] of yTicks) {
    picture.append(svg("line", { class: "grid", x1: x(0), x2: x(1), y1: y(at), y2: y(at) }), svg("text", { x: left - 6, y: y(at) + 4, "text-anchor": "end" }, label));
  }
  for (const [at, label] of xTicks) picture.append(svg("text", { x: x(at), y: height - bottom + 15, "text-anchor": "middle" }, label));
  picture.append(
    svg("text", { x: x(0.5), y: height - 6, "text-anchor": "middle", class: "label" }, xLabel),
    svg("text", { x: 14, y: y(0.5), "text-anchor": "middle", class: "label", transform: `rotate(-90 14 ${y(0.5)})` }, yLabel),
  );
  host.replaceChildren(picture);
  return { picture, x, y };
}

const PERCENT_TICKS = [[0, "0"], [0.5, "50\u00a0%"], [1, "100\u00a0%"]];

/* Accuracy of a probe at every layer beside the same probe on the observation. */
function probeChart(host, probes, chosen) {
  const last = probes.length - 1, baseline = probes[0].baseline;
  const text = `Accuracy on mazes the probe was not fitted on. The maze alone: ${percent(baseline)}. ${probes.map((one) => `${one.site}: ${percent(one.accuracy)}`).join(", ")}.`;
  const { picture, x, y } = chartFrame(host, text, "layer, first to last", "right on other mazes", [], PERCENT_TICKS);
  probes.forEach((probe, i) => {
    const at = x((i + 0.5) / (last + 1)), wide = (0.6 * (x(1) - x(0))) / (last + 1), high = y(probe.accuracy);
    picture.append(svg("rect", { x: at - wide / 2, y: high, width: wide, height: y(0) - high, class: `bar${i === chosen ? " chosen" : ""}${probe.above ? " above" : ""}` }));
  });
  picture.append(
    svg("line", { class: "baseline", x1: x(0), x2: x(1), y1: y(baseline), y2: y(baseline) }),
    svg("text", { x: x(1), y: y(baseline) - 6, "text-anchor": "end", class: "baseline-text" }, `maze alone: ${percent(baseline)}`),
  );
}

/* What the audit predicted of every agent against what was measured; the chosen one with both intervals. */
function auditChart(host, seeds, chosen, choose) {
  const text = "Preference for the sign: predicted by the audit, across; measured, upwards. One dot is one agent. The slider chooses one.";
  const { picture, x, y } = chartFrame(host, text, "predicted by the audit", "measured", PERCENT_TICKS, PERCENT_TICKS);
  picture.append(svg("line", { class: "diagonal", x1: x(0), x2: x(1), y1: y(0), y2: y(1) }));
  seeds.forEach((seed, i) => {
    const { predicted, measured } = seed;
    if (predicted.preference === null || measured.value === null) return;
    if (i === chosen) {
      picture.append(
        svg("line", { class: "interval", x1: x(predicted.low), x2: x(predicted.high), y1: y(measured.value), y2: y(measured.value) }),
        svg("line", { class: "interval", x1: x(predicted.preference), x2: x(predicted.preference), y1: y(measured.low), y2: y(measured.high) }),
      );
    }
    const dot = svg("circle", { cx: x(predicted.preference), cy: y(measured.value), r: i === chosen ? 5 : 3.5, class: `dot${i === chosen ? " chosen" : ""}` });
    dot.onclick = () => choose(i);
    picture.append(dot);
  });
}

/* Rates at several strengths, with their intervals. */
function effectChart(host, points, most) {
  const text = `Targets reached first, by strength. ${points.map((one) => `${one.strength}: ${percent(one.count / one.total)}`).join(", ")}.`;
  const ticks = points.map((point) => [point.strength / most, String(point.strength)]);
  const { picture, x, y } = chartFrame(host, text, "strength of the edit", "targets reached first", ticks, PERCENT_TICKS);
  const rates = points.map((point) => [x(point.strength / most), y(point.count / point.total)]);
  picture.append(svg("polyline", { class: "line", points: rates.map((pair) => pair.join()).join(" ") }));
  points.forEach((point, i) => {
    const [low, high] = wilson(point.count, point.total);
    picture.append(svg("line", { class: "interval", x1: rates[i][0], x2: rates[i][0], y1: y(low), y2: y(high) }), svg("circle", { class: "dot", cx: rates[i][0], cy: rates[i][1], r: 3.5 }));
  });
}

/* Return the Wilson interval of a rate with 95 % confidence. */
function wilson(count, total) {
  if (!total) return [0, 1];
  const z = 1.959963984540054, rate = count / total, spread = (z * z) / total;
  const middle = (rate + spread / 2) / (1 + spread);
  const half = (z * Math.sqrt((rate * (1 - rate)) / total + spread / (4 * total))) / (1 + spread);
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

/* An interval of rates. */
function rangeText(low, high) {
  return `${Math.round(100 * low)}–${percent(high)}`;
}

/* A rate with its interval, in words. */
function rateText(count, total) {
  const [low, high] = wilson(count, total);
  return `${count} of ${total} (${percent(count / Math.max(1, total))}, ${rangeText(low, high)})`;
}
