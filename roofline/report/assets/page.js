"use strict";
// Filters, deep links, themes, linked hover and the sortable tables around the charts.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  data.rows.forEach((row, id) => { row.id = id; });
  const FACETS = [["task", "Task"], ["platform", "Platform"], ["network", "Network"], ["datatype", "Datatype"], ["pruning", "Pruning"], ["batch", "Batch"]];
  const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
  const order = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  const valuesOf = facet => [...new Set(data.rows.map(row => row[facet]).filter(v => v !== null && v !== undefined))].sort(facet === "pruning" ? Charts.byKept : order);
  const facets = FACETS.map(([name, title]) => ({ name, title, values: valuesOf(name) })).filter(facet => facet.values.length > 1);
  const platforms = [...new Set([...valuesOf("platform"), ...data.roofs.map(r => r.platform)])].sort(order);
  const datatypes = [...new Set([...valuesOf("datatype"), ...data.roofs.map(r => r.datatype)])].sort(order);
  const selection = Object.fromEntries(facets.map(f => [f.name, new Set(f.values)]));
  const hasOnChip = data.roofs.some(r => r.on_chip);
  let onChip = false, theme = "light", metric = Object.keys(Charts.METRICS)[0], sorting = { column: null, down: false }, linking = false;

  function readLink() {
    const wanted = new URLSearchParams(location.hash.slice(1));
    for (const facet of facets) {
      const text = wanted.get(facet.name);
      selection[facet.name] = text === null ? new Set(facet.values) : new Set(facet.values.filter(v => text.split("|").includes(String(v))));
    }
    onChip = hasOnChip && wanted.get("on-chip") === "yes";
    if (wanted.get("metric") in Charts.METRICS) metric = wanted.get("metric");
    theme = wanted.get("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  }
  function writeLink() {
    const link = new URLSearchParams();
    for (const facet of facets) if (selection[facet.name].size < facet.values.length) link.set(facet.name, [...selection[facet.name]].join("|"));
    if (metric !== Object.keys(Charts.METRICS)[0]) link.set("metric", metric);
    if (onChip) link.set("on-chip", "yes");
    if (theme !== (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) link.set("theme", theme);
    history.replaceState(null, "", link.size ? `#${link}` : location.pathname + location.search);
  }
  const chosen = () => data.rows.filter(row => facets.every(f => row[f.name] === null || row[f.name] === undefined || selection[f.name].has(row[f.name])));

  const element = (tag, properties = {}, ...children) => { const made = Object.assign(document.createElement(tag), properties); made.append(...children); return made; };

  function buildFilters() {
    const form = document.getElementById("filters");
    form.replaceChildren(...facets.map(facet => {
      const boxes = facet.values.map(value => {
        const box = element("input", { type: "checkbox", value: String(value), name: facet.name, checked: selection[facet.name].has(value) });
        box.addEventListener("change", () => { box.checked ? selection[facet.name].add(value) : selection[facet.name].delete(value); refresh(); });
        return element("label", {}, box, ` ${value}`);
      });
      const set = (text, values) => { const button = element("button", { type: "button", textContent: text }); button.addEventListener("click", () => { selection[facet.name] = new Set(values); buildFilters(); refresh(); }); return button; };
      return element("fieldset", {}, element("legend", { textContent: facet.title }), element("div", { className: "choose" }, set("all", facet.values), set("none", [])), element("div", { className: "values" }, ...boxes));
    }));
  }

  function buildSections() {
    const main = document.getElementById("charts");
    for (const chart of Charts.list) {
      const section = element("section", { id: `section-${chart.id}` }, element("h2", { textContent: chart.title }), element("p", { className: "about", textContent: chart.about }));
      if (chart.metric) {
        const select = element("select", { id: "metric", ariaLabel: "Quantity shown" }, ...Object.keys(Charts.METRICS).map(name => element("option", { value: name, textContent: name, selected: name === metric })));
        select.addEventListener("change", () => { metric = select.value; refresh(); });
        section.append(select);
      }
      if (chart.onChip && hasOnChip) {
        const box = element("input", { type: "checkbox", id: "on-chip", checked: onChip });
        box.addEventListener("change", () => { onChip = box.checked; refresh(); });
        section.append(element("label", {}, box, " on-chip memories: dashed roofs, and rings around networks whose weights fit"));
      }
      // Charts wider than the window scroll: with the keyboard too, so they take the focus.
      section.append(element("div", { className: "chart", id: `chart-${chart.id}`, tabIndex: 0, role: "group", ariaLabel: `Chart: ${chart.title}; its values are in the table of runs and predictions` }));
      main.append(section);
    }
    main.append(element("section", { id: "section-overview" }, element("h2", { textContent: "What was run where" }), element("p", { className: "about", textContent: "Datatypes, shares of channels kept, and batches of the rows shown." }), element("div", { className: "scroll", tabIndex: 0, id: "table-overview", role: "group", ariaLabel: "Overview table" })));
    for (const [id, title, rows] of [["rows", "Runs and predictions", null], ["roofs", "Machines", data.roofs], ["requirements", "Requirements", data.requirements]]) {
      if (rows && !rows.length) continue;
      const download = element("button", { type: "button", textContent: "Download CSV", id: `download-${id}` });
      download.addEventListener("click", () => save(`${id}.csv`, csv(rows ?? sorted(chosen()))));
      main.append(element("section", { id: `section-${id}` }, element("h2", { textContent: title }), download, element("div", { className: "scroll", tabIndex: 0, id: `table-${id}` })));
      if (rows) drawTable(document.getElementById(`table-${id}`), readable(rows), false);
    }
  }

  // Tables show the units of engineers; the files that are downloaded keep base units.
  const UNITS = { peak_op_s: ["peak, TOP/s", 1e12], bandwidth_b_s: ["bandwidth, GB/s", 1e9], on_chip_capacity_b: ["on chip, MB", 1e6], on_chip_bandwidth_b_s: ["on chip, GB/s", 1e9],
    tdp_w: ["TDP, W", 1], ops: ["operations per frame, GOP", 1e9], weight_bytes: ["weights, MB", 1e6], intensity: ["intensity, OP/B", 1] };
  const readable = rows => rows.map(row => Object.fromEntries(Object.entries(row).map(([name, value]) => UNITS[name] ? [UNITS[name][0], typeof value === "number" ? value / UNITS[name][1] : value] : [name, value])));
  const columnsOf = rows => rows.length ? Object.keys(rows[0]).filter(name => name !== "id" && rows.some(row => row[name] !== null && row[name] !== undefined && row[name] !== "")) : [];
  const sorted = rows => sorting.column === null ? rows : [...rows].sort((a, b) => {
    const [x, y] = [a[sorting.column], b[sorting.column]];
    if (x === null || x === undefined) return 1;
    if (y === null || y === undefined) return -1;
    return (sorting.down ? -1 : 1) * order(x, y);
  });
  const show = value => value === null || value === undefined ? "" : typeof value === "number" ? (Number.isInteger(value) ? value.toLocaleString("en") : Number(value.toPrecision(5)).toLocaleString("en", { maximumSignificantDigits: 5 })) : String(value);
  function drawTable(holder, rows, sortable) {
    if (!rows.length) { holder.replaceChildren(element("p", { className: "empty", textContent: "no data in this selection" })); return; }
    const names = columnsOf(rows);
    const head = element("tr", {}, ...names.map(name => {
      const cell = element("th", { scope: "col", className: `column-${name}${rows.some(row => typeof row[name] === "number") ? " number" : ""}` });
      if (!sortable) { cell.textContent = name; return cell; }
      const button = element("button", { type: "button", textContent: name + (sorting.column === name ? (sorting.down ? " ▼" : " ▲") : "") });
      button.addEventListener("click", () => { sorting = { column: name, down: sorting.column === name && !sorting.down }; drawTable(holder, sorted(chosen()), true); });
      cell.ariaSort = sorting.column === name ? (sorting.down ? "descending" : "ascending") : "none";
      cell.append(button);
      return cell;
    }));
    const body = sorted(rows).map(row => {
      const line = element("tr", {}, ...names.map(name => element("td", { className: `column-${name}${typeof row[name] === "number" ? " number" : ""}`, textContent: show(row[name]) })));
      if (row.id !== undefined && sortable) line.dataset.id = row.id;
      return line;
    });
    holder.replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
  }
  function drawOverview(holder, rows) {
    if (!rows.length) { holder.replaceChildren(element("p", { className: "empty", textContent: "no data in this selection" })); return; }
    const { platforms: machines, networks, cell } = Charts.overview(rows);
    const head = element("tr", {}, element("th", { scope: "col", textContent: "platform" }), ...networks.map(name => element("th", { scope: "col", textContent: name })));
    const body = machines.map(machine => element("tr", {}, element("th", { scope: "row", textContent: machine }), ...networks.map(network => {
      const lines = cell(machine, network);
      return lines ? element("td", {}, ...lines.flatMap((line, i) => i ? [element("br"), line] : [line])) : element("td", { className: "none", textContent: "na" });
    })));
    holder.replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
  }
  const csv = rows => { const names = columnsOf(rows); const quote = v => /[",\n]/.test(v) ? `"${v.replaceAll('"', '""')}"` : v; return [names, ...rows.map(row => names.map(name => row[name] ?? ""))].map(line => line.map(v => quote(String(v))).join(",")).join("\n") + "\n"; };
  function save(name, text) { const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: name }); link.click(); setTimeout(() => URL.revokeObjectURL(link.href), 1000); }

  function link(id, source) {
    document.querySelectorAll("tr.linked").forEach(row => row.classList.remove("linked"));
    document.querySelector(`tr[data-id="${id}"]`)?.classList.add("linked");
    if (linking) return;
    linking = true;
    for (const chart of Charts.list) {
      const holder = document.getElementById(`chart-${chart.id}`);
      if (holder === source || !holder.data || chart.id === "heatmap" || chart.id === "boxes") continue;
      const hits = [];
      holder.data.forEach((trace, curveNumber) => { const pointNumber = trace.visible === "legendonly" ? -1 : (trace.customdata ?? []).indexOf(id); if (pointNumber >= 0) hits.push({ curveNumber, pointNumber }); });
      Plotly.Fx[hits.length ? "hover" : "unhover"](holder, hits.slice(0, 1));
    }
    linking = false;
  }

  function refresh() {
    const rows = chosen(), styles = getComputedStyle(document.documentElement);
    const ink = styles.getPropertyValue("--ink"), line = styles.getPropertyValue("--line");
    document.getElementById("summary").textContent = `${rows.length.toLocaleString("en")} of ${data.rows.length.toLocaleString("en")} rows shown`;
    for (const chart of Charts.list) {
      const holder = document.getElementById(`chart-${chart.id}`);
      const context = { roofs: data.roofs, requirements: data.requirements, metric, onChip, ink, width: Math.max(holder.clientWidth - 4, 320),
        colour: platform => data.colours[platform] ?? Charts.PALETTE[platforms.indexOf(platform) % Charts.PALETTE.length], dash: datatype => DASHES[datatypes.indexOf(datatype) % DASHES.length] };
      const drawn = chart.draw(rows, context);
      if (!drawn) { Plotly.purge(holder); holder.replaceChildren(element("p", { className: "empty", textContent: "no data in this selection" })); continue; }
      if (!holder.data) holder.replaceChildren();
      const axis = own => ({ gridcolor: line, linecolor: line, zerolinecolor: line, exponentformat: "power", ...own, title: { font: { size: 13 }, ...(own?.title ?? {}) } });
      const layout = { width: context.width, margin: { l: 70, r: 20, t: 30, b: 60 }, hovermode: "closest", paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: ink, size: 12 }, modebar: { bgcolor: "rgba(0,0,0,0)", color: ink, activecolor: ink },
        legend: { font: { size: 11 }, ...(context.width < 700 ? { orientation: "h", y: -0.25 } : {}) }, ...drawn.layout, xaxis: axis(drawn.layout.xaxis), yaxis: axis(drawn.layout.yaxis) };
      // Nothing leaves the page: plotly's own button that sends a chart to its makers' server is taken away.
      Plotly.react(holder, drawn.traces, layout, { displaylogo: false, responsive: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "sendChartToCloud", "sendDataToCloud"] });
      if (!holder.dataset.linked) {
        holder.dataset.linked = "yes";
        holder.on("plotly_hover", event => { const id = event.points?.[0]?.customdata; if (typeof id === "number" && !linking) link(id, holder); });
      }
    }
    drawOverview(document.getElementById("table-overview"), rows);
    drawTable(document.getElementById("table-rows"), rows, true);
    writeLink();
  }
  function paint() {
    document.documentElement.dataset.theme = theme;
    const button = document.getElementById("theme");
    button.textContent = theme === "dark" ? "Light" : "Dark"; button.ariaPressed = String(theme === "dark");
  }

  document.getElementById("theme").addEventListener("click", () => { theme = theme === "dark" ? "light" : "dark"; paint(); refresh(); });
  document.getElementById("reset").addEventListener("click", () => { for (const f of facets) selection[f.name] = new Set(f.values); buildFilters(); refresh(); });
  document.getElementById("link").addEventListener("click", async event => {
    try { await navigator.clipboard.writeText(location.href); event.target.textContent = "Copied"; } catch { prompt("Link to this selection", location.href); }
    setTimeout(() => { event.target.textContent = "Copy link to this selection"; }, 1500);
  });
  // Paper is white and narrow: charts are drawn in the light theme and shrunk to the width of a page.
  const PAGE = 700; let before;
  addEventListener("beforeprint", () => {
    before = theme; theme = "light"; paint(); refresh();
    for (const holder of document.querySelectorAll(".chart")) { const width = holder.querySelector(".main-svg")?.clientWidth ?? 0; holder.style.zoom = width > PAGE ? PAGE / width : 1; }
  });
  addEventListener("afterprint", () => { theme = before; for (const holder of document.querySelectorAll(".chart")) holder.style.zoom = ""; paint(); refresh(); });
  addEventListener("hashchange", () => { readLink(); paint(); buildFilters(); refresh(); });
  let waiting; addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(refresh, 150); });
  readLink(); paint(); buildFilters(); buildSections(); refresh();
  document.documentElement.dataset.ready = "yes";
})();
