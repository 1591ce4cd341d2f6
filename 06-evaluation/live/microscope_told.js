// What the memory microscope tells of an event, of a question, and of what was read for its answer.
//
// This half turns the page's own data (microscope.py) into elements; microscope.js lists, chooses and listens.
// Text of the life only ever becomes a text node, never markup. It computes nothing but sums for the eye.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const events = data.events.map((row) => Object.fromEntries(data.columns.map((name, i) => [name, row[i]])));
const questions = data.questions.map((question, i) => ({ ...question, i }));
const placeOf = new Map(events.map((event, i) => [event.n, i])); // event number -> place in `events`
const conditions = data.about.conditions.map((condition) => condition.name);
const mostSurprise = events.reduce((most, event) => Math.max(most, event.surprise ?? 0), 1e-9);
const ROW = 52; // pixels of a row in the list; as in the style

const shown = { tab: "events", kind: null, at: 0, condition: "on", rows: [], active: -1 };

// ---- small helpers -------------------------------------------------------------------------------------------

const number = (value) => value.toLocaleString("en");
const plural = (count, one) => `${number(count)} ${one}${count === 1 ? "" : "s"}`;
const percent = (share) => (share < 0.0005 ? "0%" : (100 * share).toFixed(1) + "%");

/** An element with attributes and children; strings become text. */
function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Words of the life or of a question, in their own direction. */
const words = (text, tag = "bdi") => el(tag, { dir: "auto" }, text);

const verdict = (right) =>
  el("span", { class: right ? "good" : "bad" }, right ? "✓ right" : "✗ wrong");

const bar = (share, kind = "") =>
  el("span", { class: "bar " + kind }, el("i", { style: `width:${(100 * Math.min(1, share)).toFixed(2)}%` }));

/** How many different questions are among some readings. */
const asking = (reads) => new Set(reads.map((read) => read.question)).size;

const when = (event) => `step ${number(event.t)}` + (event.date ? `, ${event.date}` : "");

/** Readings of every event under a condition: event number -> [{question, hop, weight}], heaviest first. */
const readings = (() => {
  const kept = new Map();
  return (condition) => {
    if (kept.has(condition)) return kept.get(condition);
    const found = new Map();
    for (const question of questions) {
      for (const read of question.under[condition]?.reads ?? []) {
        for (const [n, weight] of read.events) {
          if (!found.has(n)) found.set(n, []);
          found.get(n).push({ question, hop: read.hop, weight });
        }
      }
    }
    for (const list of found.values()) list.sort((a, b) => b.weight - a.weight);
    kept.set(condition, found);
    return found;
  };
})();

// ---- a row of the list --------------------------------------------------------------------------------------

function eventRow(event) {
  const reads = asking(readings(shown.condition).get(event.n) ?? []);
  const written = event.written ? "written" : "not written";
  return el(
    "div",
    { class: event.written ? "row" : "row unwritten" },
    el("span", { class: "dot", title: written }, event.written ? "●" : "○"),
    words(event.text, "span"),
    el("small", {}, when(event)),
    el("span", { class: "tail" },
      event.surprise === null ? null : bar(event.surprise / mostSurprise, "mini"),
      el("small", { class: "reads" }, reads ? `read by ${number(reads)}` : ""),
    ),
  );
}

function questionRow(question) {
  const under = question.under[shown.condition];
  return el(
    "div",
    { class: "row" },
    el("span", { class: under ? (under.right ? "good" : "bad") : "" }, under ? (under.right ? "✓" : "✗") : "–"),
    words(question.question, "span"),
    el("small", {}, `${question.kind}, asked at step ${number(question.t)}`),
    el("span", { class: "tail" }, el("small", { dir: "auto" }, under?.given ?? "")),
  );
}

// ---- what is told about it -----------------------------------------------------------------------------------------

/** A link to an event or a question, that also works in a new tab. */
function link(kind, at, text) {
  const short = kind === "events" ? `e=${events[at].n}` : `q=${at + 1}`;
  const open = (click) => {
    if (click.ctrlKey || click.metaKey || click.shiftKey) return;
    click.preventDefault();
    choose(kind, at);
  };
  const href = `#${short}&if=${encodeURIComponent(shown.condition)}`;
  return el("a", { href, dir: "auto", onclick: open }, text);
}

function eventDetail(event) {
  const reads = readings(shown.condition).get(event.n) ?? [];
  const surprise = event.surprise === null ? "not measured" : event.surprise.toFixed(2);
  const none = event.written
    ? `Under “${shown.condition}” nothing that was asked led here.`
    : "It was not written, so no question can read it.";
  return [
    el("p", { class: "kicker" }, `Event ${number(event.n)} of ${number(data.about.events)}, ${when(event)}`),
    words(event.text, "h2"),
    el("dl", { class: "facts" },
      el("dt", {}, "Surprise"),
      el("dd", {}, event.surprise === null ? null : bar(event.surprise / mostSurprise), surprise),
      el("dt", {}, event.written ? "Written" : "Not written"),
      el("dd", { dir: "auto" }, data.whys[event.why] || "no reason was recorded"),
    ),
    neighbours(),
    el("h3", {}, reads.length
      ? `Read by ${plural(asking(reads), "question")}, in ${plural(reads.length, "hop")}`
      : "Read by no question"),
    reads.length ? null : el("p", { class: "empty" }, none),
    el("ul", { class: "reads-list" }, ...reads.slice(0, 200).map(readingItem)),
    reads.length > 200 ? el("p", {}, `The ${number(reads.length - 200)} lightest are left out.`) : null,
  ];
}

function readingItem({ question, hop, weight }) {
  const under = question.under[shown.condition];
  return el("li", {},
    el("span", { class: "share" }, percent(weight)),
    bar(weight),
    el("div", {},
      link("questions", question.i, question.question),
      el("p", {}, `hop ${hop}, ${question.kind}; answered `, words(under.given || "nothing"), " ", verdict(under.right)),
    ),
  );
}

function neighbours() {
  const at = shown.at;
  const step = (to, text) =>
    el("button", { type: "button", disabled: !events[to], onclick: () => choose("events", to, { stay: true }) }, text);
  return el("p", { class: "steps" }, step(at - 1, "‹ event before"), step(at + 1, "event after ›"));
}

function questionDetail(question) {
  const under = question.under[shown.condition];
  const facts = [question.kind, `asked at step ${number(question.t)}`];
  if (question.kind !== "unknown") {
    const times = question.overwrites ? plural(question.overwrites, "time") : "never";
    facts.push(`told ${plural(question.age, "step")} before`, `overwritten ${times} since`);
  }
  return [
    el("p", { class: "kicker" }, facts.join(" · ")),
    words(question.question, "h2"),
    under ? answers(question, under) : el("p", {}, `It was not asked under “${shown.condition}”.`),
    ...(under ? under.reads.map(hopDetail) : []),
    under && !under.reads.length ? el("p", { class: "empty" }, "Nothing was read from a memory.") : null,
    el("h3", {}, "What if?"),
    whatIf(question),
  ];
}

function answers(question, under) {
  const also = question.accept.length ? ` (also: ${question.accept.join(", ")})` : "";
  return el("dl", { class: "facts" },
    el("dt", {}, "Answer"),
    el("dd", {}, words(under.given || "(nothing)", "b"), " ", verdict(under.right)),
    el("dt", {}, "Right is"),
    el("dd", {}, words(question.answer, "b"), words(also)),
    el("dt", {}, "Asks about"),
    el("dd", {}, asOf(under)),
    el("dt", {}, "Took"),
    el("dd", {}, `${under.ms.toFixed(1)} ms`),
  );
}

function asOf(under) {
  if (under.asOf === null) return "no time was understood";
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (events[middle].t <= under.asOf) low = middle + 1;
    else high = middle;
  }
  const date = events[low - 1]?.date;
  return `the time up to step ${number(under.asOf)}${date ? ", " + date : ""}`;
}

function hopDetail(read) {
  const rows = [...read.events].sort((a, b) => b[1] - a[1]).map(([n, weight]) => {
    const at = placeOf.get(n);
    const event = events[at];
    const text = event
      ? el("div", {}, link("events", at, event.text), el("p", {}, `event ${number(n)}, ${when(event)}`))
      : el("div", {}, `event ${number(n)}, which this page leaves out`);
    return el("li", {}, el("span", { class: "share" }, percent(weight)), bar(weight), text);
  });
  const nothing = el("li", { class: "nothing" },
    el("span", { class: "share" }, percent(read.null)), bar(read.null), el("div", {}, "nothing that fits"));
  return el("section", {}, el("h3", {}, `Hop ${read.hop} reads`), el("ul", { class: "reads-list" }, ...rows, nothing));
}

function whatIf(question) {
  const rows = conditions.filter((name) => question.under[name]).map((name) => {
    const under = question.under[name];
    const here = name === shown.condition;
    const button = el("button", { type: "button", "aria-pressed": here, onclick: () => setCondition(name) }, name);
    return el("tr", { class: here ? "here" : "" }, el("td", {}, button), words(under.given, "td"),
      el("td", {}, verdict(under.right)));
  });
  return el("div", { class: "wide" }, el("table", {}, el("tbody", {}, ...rows)));
}
