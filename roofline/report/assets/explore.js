"use strict";
// All machines × networks × datatypes × batches: unpacked once, filtered on every change; the state is in the link.
(async () => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8c6d31", "#6a3d9a", "#7f7f7f"];
  const SECONDS_A_YEAR = 365.25 * 24 * 3600;
  const SHOWN = 200;
  const $ = id => document.getElementById(id);
  const element = (tag, properties = {}, ...children) => { const made = Object.assign(document.createElement(tag), properties); made.append(...children); return made; };
  const number = value => value === null ? "" : Number(value.toPrecision(4)).toLocaleString("en", { maximumSignificantDigits: 4 });

  // --- the packed columns -------------------------------------------------------------------------------------------
  async function unpack() {
    const packed = Uint8Array.from(atob(data.packed), letter => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    const rows = data.rows, values = { flags: bytes.subarray(0, rows) };
    const of = code => code ? data.least * Math.exp((code - 1) * data.step) : null;
    data.columns.forEach((name, i) => {
      // Low and high bytes lie apart: they pack better so.
      const low = bytes.subarray(rows * (1 + 2 * i)), high = bytes.subarray(rows * (2 + 2 * i));
      values[name] = place => of(low[place] + 256 * high[place]);
    });
    return values;
  }
  const packed = await unpack();

  // The rows lie in the order networks, machines, their datatypes, batches; this is the place of each machine's first.
  const perNetwork = data.machines.reduce((sum, machine) => { machine.first = sum; return sum + machine.datatypes.length * data.batches.length; }, 0);
  function row(network, machine, datatype, batch) {
    const m = data.machines[machine];
    const place = network * perNetwork + m.first + m.datatypes.indexOf(datatype) * data.batches.length + batch;
    const bound = packed.bound(place), flags = packed.flags[place];
    if (bound === null) return null;
    const expected = packed.expected(place), tokens = data.networks[network].tokens, items = data.batches[batch];
    return { network, machine, datatype, batch, id: [data.networks[network].name, m.key, data.datatypes[datatype], items].join("|"),
      tokens, bound, expected, low: packed.low(place), high: packed.high(place), boundLatency: 1e3 * items / bound,
      latency: packed.latency(place), latencyLow: packed.latency_low(place), latencyHigh: packed.latency_high(place),
      intensity: packed.intensity(place), limit: data.limits[flags & 3], fits: !(flags & 4), strict: !(flags & 8), heldBy: data.limits[flags >> 4 & 3] };
  }

  // --- what can be asked for ------------------------------------------------------------------------------------------
  const machineOf = r => data.machines[r.machine];
  const basis = state => state.show === "bounds" ? "bound" : "expected";
  function rate(r, state) {
    if (basis(state) === "expected" && r.expected !== null) return { value: r.expected, low: r.low, high: r.high };
    return state.show === "estimates" ? null : { value: r.bound, hollow: true };
  }
  const times = (part, factor) => part && factor ? { ...part, value: part.value * factor, low: part.low && part.low * factor, high: part.high && part.high * factor } : null;
  const over = (factor, part) => part && factor ? { ...part, value: factor / part.value, low: part.high && factor / part.high, high: part.low && factor / part.low } : null;
  function latency(r, state) {
    if (basis(state) === "expected" && r.expected !== null) return r.latency === null ? null : { value: r.latency, low: r.latencyLow, high: r.latencyHigh };
    return state.show === "estimates" ? null : { value: r.boundLatency, hollow: true };
  }
  function cost(r, state) {
    const m = machineOf(r);
    if (!m.price || !m.priced_w) return null;
    const perSecond = m.price / (state.years * SECONDS_A_YEAR) + m.priced_w / 1e3 * state.kwh / 3600;
    return over(1e6 * perSecond, rate(r, state));
  }
  const fact = value => value ? { value } : null;
  const AXES = {
    fps: { label: "frames/s", of: (r, s) => r.tokens ? null : rate(r, s), log: true },
    tokens_per_s: { label: "tokens/s", of: (r, s) => r.tokens ? rate(r, s) : null, log: true },
    latency_ms: { label: "latency of a batch (of decoders: time per token), ms", of: latency, log: true, less: true },
    per_watt: { label: "frames or tokens/s per W of TDP", of: (r, s) => times(rate(r, s), 1 / machineOf(r).watts), log: true },
    usd_per_million: { label: "USD per million frames or tokens", of: cost, log: true, less: true },
    price_usd: { label: "price, USD", of: r => fact(machineOf(r).price), log: true, less: true },
    watts: { label: "TDP, W", of: r => fact(machineOf(r).watts), log: true, less: true },
    peak: { label: "peak at the datatype, OP/s", of: r => fact(machineOf(r).peaks[machineOf(r).datatypes.indexOf(r.datatype)]), log: true },
    bandwidth: { label: "memory bandwidth, B/s", of: r => fact(machineOf(r).bandwidth), log: true },
    year: { label: "year", of: r => fact(machineOf(r).year), plain: true },
  };
  const SHOW = { best: "estimate, else bound", estimates: "estimates only", bounds: "bounds only" };
  const COLOURS = { kind: "kind", segment: "segment", vendor: "vendor", network: "network", datatype: "datatype", batch: "batch", machine: "machine" };
  const names = { network: data.networks.map(n => n.name), datatype: data.datatypes, batch: data.batches.map(String) };
  for (const facet of ["segment", "kind", "vendor"]) names[facet] = [...new Set(data.machines.map(m => m[facet]))].sort();
  const nameOf = (r, facet) => facet === "machine" ? machineOf(r).key : facet in machineOf(r) ? machineOf(r)[facet] : names[facet][r[facet]];
  const FACETS = [["network", "Network"], ["datatype", "Datatype"], ["batch", "Batch"], ["segment", "Segment"], ["kind", "Kind"], ["vendor", "Vendor"]];
  const LIMITED = [["max_price", "Price up to, USD"], ["max_watts", "TDP up to, W"], ["years", "Lifetime, years"], ["kwh", "Electricity, USD/kWh"]];
  const start = () => ({ network: new Set(data.first), datatype: new Set(names.datatype.filter(name => ["fp16", "int8"].includes(name))), batch: new Set(["1"]),
    segment: new Set(names.segment), kind: new Set(names.kind), vendor: new Set(names.vendor), max_price: null, max_watts: null, years: data.years, kwh: data.kwh,
    machine: "", x: "watts", y: "fps", colour: "kind", show: "best", at: "", sort: "-value", theme: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light" });
  let state = start(), rows = [], near = () => null;

  // Electricity may be had for nothing; every other limit is of something.
  const usable = (name, text) => text !== null && text !== "" && (name === "kwh" ? Number(text) >= 0 : Number(text) > 0);

  // --- the link -------------------------------------------------------------------------------------------------------
  function readLink() {
    const wanted = new URLSearchParams(location.hash.slice(1));
    state = start();
    for (const [name] of FACETS) if (wanted.has(name)) state[name] = new Set(wanted.get(name).split("|").filter(value => names[name].includes(value)));
    for (const [name] of LIMITED) if (usable(name, wanted.get(name))) state[name] = Number(wanted.get(name));
    for (const [name, known] of [["x", AXES], ["y", AXES], ["colour", COLOURS], ["show", SHOW]]) if (wanted.get(name) in known) state[name] = wanted.get(name);
    for (const name of ["machine", "at", "sort", "theme"]) if (wanted.has(name)) state[name] = wanted.get(name);
  }
  function writeLink() {
    const link = new URLSearchParams(), plain = start();
    for (const name of Object.keys(plain)) {
      const [now, then] = [state[name], plain[name]].map(value => value instanceof Set ? [...value].join("|") : String(value ?? ""));
      if (now !== then) link.set(name, now);
    }
    history.replaceState(null, "", link.size ? `#${link}` : location.pathname + location.search);
  }

  // --- filters ----------------------------------------------------------------------------------------------------------
  function buildFilters() {
    const find = element("input", { type: "search", name: "machine", value: state.machine, ariaLabel: "Machine's name contains" });
    find.addEventListener("input", () => { state.machine = find.value; refresh(); });
    const limits = LIMITED.map(([name, title]) => {
      const field = element("input", { type: "number", name, min: 0, step: "any", value: state[name] ?? "" });
      field.addEventListener("input", () => { state[name] = usable(name, field.value) ? Number(field.value) : start()[name]; refresh(); });
      return element("label", {}, title, field);
    });
    $("filters").replaceChildren(...FACETS.map(facetBox), element("fieldset", {}, element("legend", { textContent: "Machine" }), find), element("fieldset", {}, element("legend", { textContent: "Limits and cost" }), ...limits));
  }
  function facetBox([name, title]) {
    const boxes = names[name].map(value => {
      const box = element("input", { type: "checkbox", name, value, checked: state[name].has(value) });
      box.addEventListener("change", () => { state[name][box.checked ? "add" : "delete"](value); refresh(); });
      return element("label", {}, box, ` ${value}`);
    });
    const set = (text, values) => { const button = element("button", { type: "button", textContent: text }); button.addEventListener("click", () => { state[name] = new Set(values); buildFilters(); refresh(); }); return button; };
    return element("fieldset", {}, element("legend", { textContent: title }), element("div", { className: "choose" }, set("all", names[name]), set("none", [])), element("div", { className: "values" }, ...boxes));
  }
  function buildAxes() {
    const labels = Object.fromEntries(Object.entries(AXES).map(([name, axis]) => [name, axis.label]));
    $("axes").replaceChildren(...[["y", "Upwards", labels], ["x", "Rightwards", labels], ["colour", "Colour", COLOURS], ["show", "Show", SHOW]].map(([name, title, known]) => {
      const select = element("select", { id: `choose-${name}` }, ...Object.entries(known).map(([value, text]) => element("option", { value, textContent: text, selected: state[name] === value })));
      select.addEventListener("change", () => { state[name] = select.value; refresh(); });
      return element("label", {}, title, select);
    }));
  }

  // --- the selection ----------------------------------------------------------------------------------------------------
  function chosen() {
    const found = [], wanted = state.machine.toLowerCase(), pick = name => names[name].flatMap((value, i) => state[name].has(value) ? [i] : []);
    const [networks, batches, datatypes] = [pick("network"), pick("batch"), new Set(pick("datatype"))];
    data.machines.forEach((m, machine) => {
      if (!state.segment.has(m.segment) || !state.kind.has(m.kind) || !state.vendor.has(m.vendor)) return;
      // What is not known to be within a limit is not shown under it.
      if (state.max_price && !(m.price <= state.max_price && m.price) || state.max_watts && !(m.watts <= state.max_watts && m.watts)) return;
      if (wanted && !`${m.key} ${m.name}`.toLowerCase().includes(wanted)) return;
      for (const datatype of m.datatypes) if (datatypes.has(datatype)) for (const network of networks) for (const batch of batches) {
        const r = row(network, machine, datatype, batch);
        if (r && (state.show !== "estimates" || r.expected !== null)) found.push(r);
      }
    });
    return found;
  }

  // --- the table --------------------------------------------------------------------------------------------------------
  const COLUMNS = {
    network: r => data.networks[r.network].name, unit: r => r.tokens ? "tokens/s" : "frames/s", platform: r => machineOf(r).key, datatype: r => data.datatypes[r.datatype], batch: r => data.batches[r.batch],
    bound_per_s: r => r.bound, expected_per_s: r => r.expected, low_per_s: r => r.low, high_per_s: r => r.high,
    latency_ms: r => r.latency ?? (r.expected === null ? r.boundLatency : null), bound: r => r.limit, fits: r => r.fits ? "yes" : "no",
    per_watt: r => AXES.per_watt.of(r, state)?.value ?? null, usd_per_million: r => AXES.usd_per_million.of(r, state)?.value ?? null,
    price_usd: r => machineOf(r).price, tdp_w: r => machineOf(r).watts, segment: r => machineOf(r).segment, kind: r => machineOf(r).kind, vendor: r => machineOf(r).vendor,
  };
  function sorted() {
    const name = state.sort.replace("-", "");
    // Unless a column is asked for, the best by the upward axis come first.
    const down = name in COLUMNS ? state.sort.startsWith("-") : !AXES[state.y].less;
    const of = COLUMNS[name] ?? (r => AXES[state.y].of(r, state)?.value ?? null);
    const order = (a, b) => typeof a === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
    return rows.map(r => [of(r), r]).sort(([a], [b]) => a === null ? 1 : b === null ? -1 : (down ? -1 : 1) * order(a, b)).map(([, r]) => r);
  }
  function drawTable() {
    const columns = Object.entries(COLUMNS);
    const head = element("tr", {}, ...columns.map(([name]) => {
      const mark = state.sort === name ? " ▲" : state.sort === `-${name}` ? " ▼" : "";
      const button = element("button", { type: "button", textContent: name + mark });
      button.addEventListener("click", () => { state.sort = state.sort === `-${name}` ? name : `-${name}`; drawTable(); writeLink(); });
      return element("th", { scope: "col" }, button);
    }));
    const body = sorted().slice(0, SHOWN).map(r => {
      const line = element("tr", { className: r.id === state.at ? "chosen" : "" }, ...columns.map(([name, of]) => {
        const value = of(r);
        if (name === "platform") return element("td", {}, element("button", { type: "button", textContent: value }));
        return element("td", { className: typeof value === "number" ? "number" : "", textContent: typeof value === "number" ? number(value) : value ?? "" });
      }));
      line.addEventListener("click", () => choose(r.id));
      return line;
    });
    $("table").replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
    $("shown").textContent = rows.length > SHOWN ? `the first ${SHOWN} of ${rows.length.toLocaleString("en")} rows; the file has all` : "";
  }
  function csv() {
    const quote = value => /[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
    const cell = value => value === null || value === undefined ? "" : typeof value === "number" ? String(Number(value.toPrecision(4))) : quote(String(value));
    return [Object.keys(COLUMNS), ...sorted().map(r => Object.values(COLUMNS).map(of => of(r)))].map(line => line.map(cell).join(",")).join("\n") + "\n";
  }

  // --- one point --------------------------------------------------------------------------------------------------------
  function choose(id) { state.at = id; refresh(); $("detail").scrollIntoView({ block: "nearest" }); }
  function pointed() {
    const [network, key, datatype, batch] = state.at.split("|");
    const at = [names.network.indexOf(network), data.machines.findIndex(m => m.key === key), data.datatypes.indexOf(datatype), names.batch.indexOf(batch)];
    return at.includes(-1) || !data.machines[at[1]].datatypes.includes(at[2]) ? null : row(...at);
  }
  function drawDetail(look) {
    const r = pointed();
    $("detail").hidden = !r;
    if (!r) return;
    const m = machineOf(r), unit = r.tokens ? "tokens/s" : "frames/s", network = data.networks[r.network], datatype = data.datatypes[r.datatype];
    $("detail-title").textContent = `${network.title} on ${m.name}, ${datatype}, batch ${data.batches[r.batch]}`;
    $("detail-text").textContent = `${r.strict ? "Bound" : "Equation 1 (no strict bound here)"}: ${number(r.bound)} ${unit}, held back by ${r.limit}. ` +
      (r.expected === null ? "No published runs are a basis for an estimate. " : `Estimate: ${number(r.expected)} ${unit}, 80 % interval ${number(r.low)} to ${number(r.high)}; most of the time goes to ${r.heldBy === "latency" ? "fixed costs" : r.heldBy}. `) +
      (r.fits ? "" : "It does not fit in the machine's memory. ") + (network.note ?? "");
    const peak = m.peaks[m.datatypes.indexOf(r.datatype)], knee = peak / m.bandwidth;
    const at = r.intensity ?? 8 * knee, reached = r.bound * network.ops, left = Math.min(knee, at) / 8, right = Math.max(knee, at) * 8;
    const points = [{ x: at, y: reached, colour: look.colour, hollow: true, id: "bound" }];
    if (r.expected !== null) points.push({ x: at, y: r.expected * network.ops, low: r.low * network.ops, high: r.high * network.ops, colour: look.colour, id: "expected" });
    const roofs = m.datatypes.map((d, i) => ({ name: data.datatypes[d], peak: m.peaks[i] })).filter(roof => roof.name === datatype);
    Plot.draw($("roofline"), { ...look, points, x: { label: "operational intensity, OP/B", log: true }, y: { label: "performance, OP/s", log: true },
      lines: roofs.map(roof => ({ x: [left, knee, right], y: [left * m.bandwidth, roof.peak, roof.peak], colour: look.colour,
        label: `${m.key} ${roof.name} ${Plot.short(roof.peak)}OP/s, ${Plot.short(m.bandwidth)}B/s` })) });
    const lines = m.figures.map(([what, value, kind, source, note]) => {
      const from = data.sources[source], title = from.url ? element("a", { href: from.url, textContent: from.title, rel: "noreferrer" }) : from.title;
      return element("tr", {}, element("td", { textContent: what }), element("td", { className: "number", textContent: value }), element("td", { textContent: kind }), element("td", {}, title, note ? ` (${note})` : ""));
    });
    const head = element("tr", {}, ...["figure", "value", "kind", "source"].map(text => element("th", { scope: "col", textContent: text })));
    $("sources").replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...lines)));
  }

  // --- drawing ----------------------------------------------------------------------------------------------------------
  function colouring() {
    const found = new Set(rows.map(r => nameOf(r, state.colour)));
    // The most frequent get the first colours, whatever is selected; there are more vendors than colours.
    const many = name => data.machines.filter(m => m[state.colour] === name).length;
    const all = state.colour === "machine" ? [...found].sort() : [...names[state.colour]].sort((a, b) => many(b) - many(a));
    const shown = all.filter(name => found.has(name));
    const colour = name => state.colour === "machine" ? data.colours[name] : PALETTE[all.indexOf(name) % PALETTE.length];
    const few = shown.slice(0, 14).map(name => element("span", {}, element("i", { style: `background:${colour(name)}` }), name));
    $("legend").replaceChildren(...few, shown.length > few.length ? `and ${shown.length - few.length} more` : "");
    return colour;
  }
  function refresh() {
    document.documentElement.dataset.theme = state.theme;
    $("theme").textContent = state.theme === "dark" ? "Light" : "Dark";
    const styles = getComputedStyle(document.documentElement);
    const look = { ink: styles.getPropertyValue("--ink"), grid: styles.getPropertyValue("--line"), selected: state.at };
    rows = chosen();
    const colour = colouring(), points = [];
    for (const r of rows) {
      const across = AXES[state.x].of(r, state), up = AXES[state.y].of(r, state);
      if (across && up) points.push({ x: across.value, y: up.value, low: up.low, high: up.high, hollow: across.hollow || up.hollow, colour: colour(nameOf(r, state.colour)), id: r.id, row: r });
    }
    $("chart").hidden = !points.length;
    $("empty").hidden = points.length > 0;
    $("empty").textContent = rows.length ? "no row of this selection has both axes: choose others above" : "no data in this selection";
    if (points.length) near = Plot.draw($("chart"), { ...look, points, x: AXES[state.x], y: AXES[state.y] });
    $("chart").dataset.points = points.length;
    const machines = new Set(rows.map(r => r.machine)).size;
    $("summary").textContent = `${rows.length.toLocaleString("en")} predictions on ${machines} of ${data.machines.length} machines and modes; ${points.length.toLocaleString("en")} have both axes`;
    const r = pointed();
    drawDetail({ ...look, colour: data.colours[r ? machineOf(r).key : ""] ?? PALETTE[0] });
    drawTable();
    writeLink();
  }

  // --- events -----------------------------------------------------------------------------------------------------------
  $("chart").addEventListener("click", event => { const hit = near(event.offsetX, event.offsetY); if (hit) choose(hit.id); });
  $("chart").addEventListener("mousemove", event => {
    const hit = near(event.offsetX, event.offsetY);
    $("chart").title = hit ? `${hit.id.replaceAll("|", " · ")}: ${number(hit.y)} ${AXES[state.y].label}` : "";
  });
  $("csv").addEventListener("click", () => {
    const link = element("a", { href: URL.createObjectURL(new Blob([csv()], { type: "text/csv" })), download: "explore.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  $("theme").addEventListener("click", () => { state.theme = state.theme === "dark" ? "light" : "dark"; refresh(); });
  $("reset").addEventListener("click", () => { state = start(); buildFilters(); buildAxes(); refresh(); });
  $("link").addEventListener("click", async event => {
    try { await navigator.clipboard.writeText(location.href); event.target.textContent = "Copied"; } catch { prompt("Link to this selection", location.href); }
    setTimeout(() => { event.target.textContent = "Copy link to this selection"; }, 1500);
  });
  addEventListener("hashchange", () => { readLink(); buildFilters(); buildAxes(); refresh(); });
  let waiting; addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(refresh, 150); });
  readLink(); buildFilters(); buildAxes(); refresh();
  document.documentElement.dataset.ready = "yes";
})();
