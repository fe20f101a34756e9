"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const by = (id) => document.getElementById(id);

/** An element with text and children; text never becomes markup. */
function make(tag, text, ...children) {
  const element = document.createElement(tag);
  if (text !== null) element.textContent = text;
  element.append(...children);
  return element;
}

/** Text for the charts, which would read tags in it. */
const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

function options(select, names) {
  select.replaceChildren(...names.map((name, at) => Object.assign(make("option", name), { value: at })));
}

/** Whether a curve is one of those drawn at first: of a codec without beta, or at an end of its axis. */
const isEnd = (curve) => curve.beta === null || curve.beta === 0 || curve.beta === 1;
const groupName = (group) => (group.net ? `${group.title} · ${group.net}` : group.title);

// Summary

function summary() {
  document.querySelector("h1").textContent = data.title;
  by("made").textContent = data.made;
  by("cards").append(...data.groups.map((group) => {
    const card = make("div", null, make("h3", group.title), make("p", group.net || "pictures only"));
    card.className = "card";
    const list = make("ul", null);
    const first = group.columns[0];
    if (first && group.uncompressed[first.name] != null) {
      list.append(make("li", `uncompressed: ${group.uncompressed[first.name].toFixed(1)} ${first.label}`));
    }
    list.append(make("li", `${new Set(group.curves.map((curve) => curve.method)).size} codecs, ${group.curves.length} curves`));
    const ends = new Set(group.curves.filter(isEnd).map((curve) => curve.label));
    for (const delta of group.deltas.filter((one) => ends.has(one.curve))) {
      const bounds = delta.bounds ? ` [${delta.bounds.map((value) => value.toFixed(1)).join(", ")}]` : "";
      list.append(make("li", `${delta.curve}: ${delta.text}${bounds} bits against ${delta.anchor}`));
    }
    card.append(list);
    return card;
  }));
}

// Curves

function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(["paper", "ink", "quiet", "faint"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** Traces of one curve: its 95 % band, where asked for, and its line. */
function traces(curve, name, shown) {
  const found = [];
  const [low, high] = curve.bounds[name] || [null, null];
  const common = { legendgroup: curve.label, visible: shown ? true : "legendonly" };
  if (by("chart-bands").checked && low && high && low.every((value) => value !== null) && high.every((value) => value !== null)) {
    found.push({
      ...common, x: curve.bits.concat([...curve.bits].reverse()), y: high.concat([...low].reverse()), fill: "toself",
      fillcolor: `${curve.colour}22`, line: { width: 0 }, hoverinfo: "skip", showlegend: false, mode: "lines",
    });
  }
  const open = curve.beta !== null && curve.beta < 1;
  found.push({
    ...common, x: curve.bits, y: curve.values[name], name: plain(curve.label), mode: "lines+markers",
    line: { color: curve.colour, width: 2, dash: open ? "dash" : "solid" },
    marker: { color: curve.colour, size: 7, symbol: open ? "circle-open" : "circle" },
    text: curve.points.map((point, at) => plain(low && low[at] !== null ? `${point}, 95 %: ${low[at].toFixed(1)} … ${high[at].toFixed(1)}` : point)),
    hovertemplate: "%{x:.4f} bpp, %{y:.2f}<br>%{text}<extra>%{fullData.name}</extra>",
  });
  return found;
}

const TICKS = [-3, -2, -1, 0, 1].flatMap((power) => [1, 2, 5].map((digit) => Number(`${digit}e${power}`)));

function chart() {
  const group = data.groups[by("chart-group").value];
  const column = group.columns[by("chart-column").value] || group.columns[0];
  const ink = colours();
  const every = by("chart-betas").checked;
  const drawn = group.curves.flatMap((curve) => traces(curve, column.name, every || isEnd(curve)));
  const free = group.uncompressed[column.name];
  const axis = { gridcolor: ink.faint, zerolinecolor: ink.faint, linecolor: ink.quiet, automargin: true };
  const narrow = by("chart").clientWidth < 700;
  const log = by("chart-log").checked;
  Plotly.react("chart", drawn, {
    paper_bgcolor: ink.paper, plot_bgcolor: ink.paper, font: { color: ink.ink, size: 13 }, hovermode: "closest",
    margin: { l: 50, r: 10, t: 16, b: 50 },
    xaxis: { ...axis, title: { text: plain(group.rate) }, ...(log ? { type: "log", tickvals: TICKS, ticktext: TICKS.map(String) } : { type: "linear" }) },
    yaxis: { ...axis, title: { text: plain(column.label) } },
    legend: narrow ? { orientation: "h", x: 0, y: -0.18 } : { x: 1.02, y: 1 },
    shapes: free == null ? [] : [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: free, y1: free, line: { color: ink.quiet, dash: "dot", width: 1 } }],
    annotations: free == null ? [] : [{ xref: "paper", x: 0, y: free, yanchor: "bottom", xanchor: "left", showarrow: false, text: `uncompressed ${free.toFixed(1)}`, font: { color: ink.quiet } }],
  }, { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] });
}

function chooseGroup() {
  options(by("chart-column"), data.groups[by("chart-group").value].columns.map((column) => column.label));
  chart();
}

// Tables

/** The number a cell begins with, for sorting; text sorts as text. */
const number = (text) => parseFloat(text.replace("−", "-").replace(/[^0-9.eE+-].*$/, ""));

function sortable(sheet) {
  const body = make("tbody", null);
  const fill = (rows) => body.replaceChildren(...rows.map((row) => make("tr", null, ...row.map((cell, at) => {
    const element = make("td", cell);
    if (sheet.left[at]) element.className = "left";
    return element;
  }))));
  const heads = sheet.heads.map((head, at) => {
    const button = make("button", head);
    const cell = make("th", null, button);
    if (sheet.left[at]) cell.className = "left";
    button.addEventListener("click", () => {
      const down = cell.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = [...sheet.rows].sort((a, b) => {
        const [x, y] = [number(a[at]), number(b[at])];
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a[at].localeCompare(b[at]);
        return x - y;
      });
      fill(down ? order.reverse() : order);
    });
    return cell;
  });
  fill(sheet.rows);
  return make("table", null, make("thead", null, make("tr", null, ...heads)), body);
}

function tables() {
  const group = data.groups[by("table-group").value];
  by("sheets").replaceChildren(...group.tables.flatMap((sheet) => {
    const scroll = make("div", null, sortable(sheet));
    scroll.className = "scroll";
    scroll.tabIndex = 0;
    return [make("h3", sheet.caption), scroll];
  }));
  const notes = make("ul", null, ...group.notes.map((note) => make("li", note)));
  notes.className = "notes";
  by("sheets").append(notes);
}

// Pictures

const viewed = { set: 0, picture: 0, method: 0, rate: 0, beta: 0 };
const within = (value, list) => Math.max(0, Math.min(value, list.length - 1));
const hue = (label) => `hsl(${(label * 137) % 360} 90% 60%)`;

/** Draw what a net saw on a frame; the words that say it. */
function overlay(frame, seen) {
  const svg = frame.querySelector("svg");
  const map = frame.querySelector(".map");
  svg.replaceChildren();
  map.removeAttribute("src");
  if (!by("overlay").checked || seen == null) return "";
  if (typeof seen === "string") {
    map.src = seen;
    return "label map of the net";
  }
  if (typeof seen === "number") return `the net says class ${seen}`;
  svg.setAttribute("viewBox", "0 0 1 1");
  svg.setAttribute("preserveAspectRatio", "none");
  for (const [x, y, width, height, , label] of seen) {
    const box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [name, value] of Object.entries({ x, y, width, height, stroke: hue(label) })) box.setAttribute(name, value);
    svg.append(box);
  }
  return `${seen.length} boxes of score 0.3 or more`;
}

function show() {
  const set = data.sets[viewed.set];
  const picture = set.pictures[viewed.picture];
  const method = picture.methods[viewed.method];
  const net = by("overlay-net").value || 0;
  by("original").src = picture.image;
  const tags = picture.tags.length ? `, ${picture.tags.join(", ")}` : "";
  const first = overlay(by("original").parentElement, picture.overlays[net]);
  by("original-text").textContent = `original ${picture.id}, ${picture.width}x${picture.height}${tags}${first && `; ${first}`}`;
  if (!method) return;
  viewed.rate = within(viewed.rate, method.rates);
  viewed.beta = within(viewed.beta, method.betas);
  const beta = method.betas.length ? method.betas[viewed.beta] : "";
  const rate = method.rates[viewed.rate];
  const view = rate.views[beta];
  Object.assign(by("rate"), { max: method.rates.length - 1, value: viewed.rate });
  by("rate-text").textContent = rate.rate;
  by("rate").setAttribute("aria-valuetext", rate.rate);
  by("beta-label").hidden = !method.betas.length;
  by("beta-label").style.display = method.betas.length ? "" : "none";
  if (method.betas.length) {
    Object.assign(by("beta"), { max: method.betas.length - 1, value: viewed.beta });
    by("beta-text").textContent = beta;
    by("beta").setAttribute("aria-valuetext", beta);
  }
  by("decoded").src = view.image;
  const second = overlay(by("decoded").parentElement, view.overlays[net]);
  const bits = Math.round(view.bpp * picture.width * picture.height);
  by("decoded-text").textContent = `${method.label}, ${rate.rate}${beta && `, β = ${beta}`}: ${view.bpp.toFixed(3)} bpp, ${bits} bits${second && `; ${second}`}`;
}

function chooseSet() {
  const set = data.sets[viewed.set];
  viewed.picture = within(viewed.picture, set.pictures);
  options(by("overlay-net"), set.nets);
  by("thumbs").replaceChildren(...set.pictures.map((picture, at) => {
    const button = make("button", picture.tags.length ? picture.tags.join(", ") : picture.id);
    button.title = picture.id;
    button.addEventListener("click", () => {
      viewed.picture = at;
      choosePicture();
    });
    return button;
  }));
  choosePicture();
}

function choosePicture() {
  const picture = data.sets[viewed.set].pictures[viewed.picture];
  [...by("thumbs").children].forEach((button, at) => button.setAttribute("aria-pressed", at === viewed.picture));
  options(by("method"), picture.methods.map((method) => method.label));
  viewed.method = within(viewed.method, picture.methods);
  by("method").value = viewed.method;
  show();
}

function pictures() {
  if (!data.sets.length) {
    by("no-pictures").hidden = false;
    by("viewer").hidden = true;
    return;
  }
  options(by("set"), data.sets.map((set) => set.title));
  const first = data.sets[0].pictures[0].methods.findIndex((method) => method.betas.length);
  viewed.method = Math.max(first, 0);
  viewed.rate = Math.floor((data.sets[0].pictures[0].methods[viewed.method]?.rates.length ?? 0) / 2);
  by("set").addEventListener("change", () => { viewed.set = Number(by("set").value); chooseSet(); });
  by("method").addEventListener("change", () => { viewed.method = Number(by("method").value); show(); });
  for (const name of ["rate", "beta"]) {
    by(name).addEventListener("input", () => { viewed[name] = Number(by(name).value); show(); });
  }
  for (const id of ["overlay", "overlay-net"]) by(id).addEventListener("change", show);
  chooseSet();
}

summary();
options(by("chart-group"), data.groups.map(groupName));
options(by("table-group"), data.groups.map(groupName));
by("chart-group").addEventListener("change", chooseGroup);
by("table-group").addEventListener("change", tables);
for (const id of ["chart-column", "chart-log", "chart-bands", "chart-betas"]) by(id).addEventListener("change", chart);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", chart);
new ResizeObserver(chart).observe(by("chart"));
chooseGroup();
tables();
pictures();
