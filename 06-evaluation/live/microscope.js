// The memory microscope: one life, the questions about it, and what was read for each answer, to walk through.
//
// This half lists, chooses, draws the whole life at a glance and listens to hands; microscope_told.js before
// it, in the same script, says what is told. The address (#q=3&if=off) says what is shown.

// ---- what is listed --------------------------------------------------------------------------------------------

const FILTERS = {
  events: {
    "all events": () => true,
    written: (event) => event.written,
    "not written": (event) => !event.written,
    "read by a question": (event) => readings(shown.condition).has(event.n),
  },
  questions: {
    "all questions": () => true,
    "answered wrong": (question) => question.under[shown.condition]?.right === false,
    "answered right": (question) => question.under[shown.condition]?.right === true,
    "right with the memory, wrong here": (question) =>
      question.under.on?.right === true && question.under[shown.condition]?.right === false,
  },
};
for (const kind of new Set(questions.map((question) => question.kind))) {
  FILTERS.questions["kind: " + kind] = (question) => question.kind === kind;
}

const items = () => (shown.tab === "events" ? events : questions);
const fold = (text) => text.normalize("NFC").toLowerCase();

function list() {
  const filters = FILTERS[shown.tab];
  const keep = filters[byId("filter").value] ?? Object.values(filters)[0];
  const sought = fold(byId("search").value.trim());
  const text = (item) => (shown.tab === "events" ? `${item.text} ${item.date} ${item.n}` : item.question);
  shown.rows = [];
  items().forEach((item, i) => {
    if (keep(item) && (!sought || fold(text(item)).includes(sought))) shown.rows.push(i);
  });
  byId("count").textContent = `${number(shown.rows.length)} of ${number(items().length)} ${shown.tab}`;
  byId("tall").style.height = `${shown.rows.length * ROW}px`;
  byId("list").setAttribute("aria-label", shown.tab);
  mark();
}

/** Only the rows in sight exist: ten thousand events cost no more than thirty. */
function drawRows() {
  const box = byId("list");
  const first = Math.max(0, Math.floor(box.scrollTop / ROW) - 4);
  const last = Math.min(shown.rows.length, Math.ceil((box.scrollTop + box.clientHeight) / ROW) + 4);
  const rows = [];
  for (let place = first; place < last; place++) {
    const item = items()[shown.rows[place]];
    const row = shown.tab === "events" ? eventRow(item) : questionRow(item);
    row.id = `row-${place}`;
    row.style.transform = `translateY(${place * ROW}px)`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-setsize", shown.rows.length);
    row.setAttribute("aria-posinset", place + 1);
    row.setAttribute("aria-selected", place === shown.active);
    row.addEventListener("click", () => choose(shown.tab, shown.rows[place], { replace: false, stay: true }));
    rows.push(row);
  }
  byId("tall").replaceChildren(...rows);
  if (shown.active >= first && shown.active < last) box.setAttribute("aria-activedescendant", `row-${shown.active}`);
  else box.removeAttribute("aria-activedescendant");
}

/** The place of what is shown in the list, in sight. */
function mark(scroll = false) {
  const same = shown.kind === shown.tab;
  shown.active = same ? shown.rows.indexOf(shown.at) : -1;
  const box = byId("list");
  if (scroll && shown.active >= 0) {
    const top = shown.active * ROW;
    if (top < box.scrollTop || top + ROW > box.scrollTop + box.clientHeight) {
      box.scrollTop = Math.max(0, top - box.clientHeight / 2 + ROW / 2);
    }
  }
  drawRows();
}

function openTab(tab) {
  if (shown.tab !== tab || !byId("filter").options.length) {
    shown.tab = tab;
    byId("search").value = "";
    byId("filter").replaceChildren(...Object.keys(FILTERS[tab]).map((name) => el("option", {}, name)));
    byId("list").scrollTop = 0;
  }
  for (const name of ["events", "questions"]) {
    byId(`tab-${name}`).setAttribute("aria-selected", name === tab);
    byId(`tab-${name}`).tabIndex = name === tab ? 0 : -1;
  }
  byId("list").setAttribute("aria-labelledby", `tab-${tab}`);
  list();
}

// ---- what is chosen ----------------------------------------------------------------------------------------------

/** Show an event or a question; `stay` leaves the focus where it is. */
function choose(kind, at, { replace = false, stay = false } = {}) {
  shown.kind = kind;
  shown.at = at;
  if (shown.tab !== kind) openTab(kind);
  mark(true);
  detail();
  remember(replace);
  if (!stay) byId("detail").focus({ preventScroll: false });
}

function remember(replace) {
  const short = shown.kind === "events" ? `e=${events[shown.at].n}` : `q=${shown.at + 1}`;
  const address = `#${short}&if=${encodeURIComponent(shown.condition)}`;
  if (address !== location.hash) history[replace ? "replaceState" : "pushState"](null, "", address);
}

/** Show what the address says; false where it says nothing that is here. */
function recall() {
  const told = new URLSearchParams(location.hash.slice(1));
  if (conditions.includes(told.get("if"))) setCondition(told.get("if"), true);
  const event = placeOf.get(Number(told.get("e")));
  const question = Number(told.get("q")) - 1;
  if (event !== undefined) choose("events", event, { replace: true, stay: true });
  else if (questions[question]) choose("questions", question, { replace: true, stay: true });
  else return false;
  return true;
}

function setCondition(condition, quiet = false) {
  shown.condition = condition;
  byId(`if-${conditions.indexOf(condition)}`).checked = true;
  const about = data.about.conditions.find((known) => known.name === condition).about;
  const asked = questions.filter((question) => question.under[condition]);
  const right = asked.filter((question) => question.under[condition].right).length;
  byId("condition-about").textContent =
    `${condition}${about ? ": " + about : ""}. ${number(right)} of ${number(asked.length)} answers are right.`;
  if (quiet) return;
  list();
  detail();
  remember(true);
}

function detail() {
  const parts = shown.kind === "events" ? eventDetail(events[shown.at]) : questionDetail(questions[shown.at]);
  byId("detail").replaceChildren(...parts.filter((part) => part !== null));
  byId("detail").scrollTop = 0;
  drawStrip();
}

// ---- the whole life at a glance ------------------------------------------------------------------------------------

function drawStrip() {
  const canvas = byId("strip");
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !events.length) return;
  const sharp = window.devicePixelRatio || 1;
  canvas.width = width * sharp;
  canvas.height = height * sharp;
  const brush = canvas.getContext("2d");
  brush.scale(sharp, sharp);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const x = (place) => ((place + 0.5) / events.length) * width;
  const columns = Math.max(1, Math.min(events.length, Math.floor(width / 3))); // the mean surprise of a stretch
  brush.fillStyle = colour("--faint");
  for (let column = 0; column < columns; column++) {
    const part = events.slice((column * events.length) / columns, ((column + 1) * events.length) / columns);
    const mean = part.reduce((sum, event) => sum + (event.surprise ?? 0), 0) / (part.length * mostSurprise);
    brush.fillRect((column * width) / columns, height * (1 - mean), width / columns - 1, height * mean);
  }
  const line = (place, weight, name, thick) => {
    brush.fillStyle = colour(name);
    const high = 6 + weight * (height - 6);
    brush.fillRect(x(place) - thick / 2, height - high, thick, high);
  };
  const reads = shown.kind === "questions" ? questions[shown.at].under[shown.condition]?.reads ?? [] : [];
  for (const read of reads) {
    for (const [n, weight] of read.events) {
      if (placeOf.has(n)) line(placeOf.get(n), weight, read.hop === 1 ? "--line" : "--accent", 3);
    }
  }
  if (shown.kind === "events") line(shown.at, 1, "--line", 3);
}

// ---- hands -----------------------------------------------------------------------------------------------------------

function moveBy(rows) {
  if (!shown.rows.length) return;
  const from = shown.active < 0 ? (rows > 0 ? -1 : 0) : shown.active;
  const place = Math.max(0, Math.min(shown.rows.length - 1, from + rows));
  choose(shown.tab, shown.rows[place], { replace: true, stay: true });
}

function listKeys(press) {
  const page = Math.max(1, Math.floor(byId("list").clientHeight / ROW) - 1);
  const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
  if (press.key in moves) {
    press.preventDefault();
    moveBy(moves[press.key]);
  } else if (press.key === "Enter") {
    byId("detail").focus();
  }
}

function pageKeys(press) {
  const typing = /^(INPUT|SELECT)$/.test(press.target.tagName) && press.target.type !== "radio";
  if (press.key === "/" && !typing) {
    press.preventDefault();
    byId("search").focus();
  } else if (press.key === "Escape" && press.target !== document.body) {
    byId("list").focus();
  }
}

function start() {
  const left = data.about.events - events.length;
  const part = left ? ` (${number(events.length)} of them here: those that were read, then the latest)` : "";
  const some = questions.length < data.about.questions ? ` (the first ${number(questions.length)} here)` : "";
  byId("told").textContent =
    `Life ${data.about.life} of ${number(data.about.events)} events${part}, ` +
    `${number(data.about.questions)} questions${some}; ` +
    `model: ${data.about.model}, seed ${data.about.seed}.`;
  conditions.forEach((name, i) => {
    const input = el("input", { type: "radio", name: "if", id: `if-${i}`, onchange: () => setCondition(name) });
    byId("conditions").append(el("label", {}, input, el("span", {}, name)));
  });
  for (const tab of ["events", "questions"]) {
    byId(`tab-${tab}`).textContent = `${tab === "events" ? "Events" : "Questions"} (${number(tab === "events" ? events.length : questions.length)})`;
    byId(`tab-${tab}`).addEventListener("click", () => openTab(tab));
    byId(`tab-${tab}`).addEventListener("keydown", (press) => {
      if (press.key !== "ArrowLeft" && press.key !== "ArrowRight") return;
      const other = tab === "events" ? "questions" : "events";
      openTab(other);
      byId(`tab-${other}`).focus();
    });
  }
  byId("search").addEventListener("input", list);
  byId("filter").addEventListener("change", list);
  byId("list").addEventListener("scroll", drawRows, { passive: true });
  byId("list").addEventListener("keydown", listKeys);
  byId("strip").addEventListener("click", (click) => {
    const at = Math.floor((click.offsetX / byId("strip").clientWidth) * events.length);
    choose("events", Math.max(0, Math.min(events.length - 1, at)), { stay: true });
  });
  document.addEventListener("keydown", pageKeys);
  window.addEventListener("hashchange", recall);
  window.addEventListener("resize", () => { drawRows(); drawStrip(); });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawStrip);
  setCondition("on", true);
  openTab("questions");
  if (!recall()) choose("questions", Math.max(0, questions.findIndex((q) => q.under.on?.reads.length)), { replace: true, stay: true });
}

start();
