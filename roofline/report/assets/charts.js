"use strict";
// Each chart is a pure function of the selected rows: it returns traces and a layout, or null when it has no data.
// A point's customdata is the index of its row, which links hovering across the charts and the table.
const Charts = (() => {
  const PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c6d31", "#6a3d9a", "#b15928",
    "#7f7f7f", "#1b9e77", "#e7298a", "#66a61e", "#a6761d", "#1f78b4", "#e31a1c", "#b2a400", "#17becf", "#bc80bd", "#4d4d4d"];
  const RED = "#c1272d", ORANGE = "#f39c34", BLUE = "#0066cc";
  // Charts wider than the window scroll; their legend stays at the left end, in sight.
  const TOP = { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom" };
  // Numbers in full at ticks that stand apart: 0.02, 50, 20k, 1M.
  const STEPS = [[5, [1]], [.7, [1, 2, 5]], [0, [1, 1.5, 2, 3, 4, 5, 7]]];
  const brief = value => { const place = [[1e9, "G"], [1e6, "M"], [1e3, "k"]].find(([least]) => value >= least); return place ? `${+(value / place[0]).toPrecision(3)}${place[1]}` : `${+value.toPrecision(3)}`; };
  const log = (title, values) => {
    const held = values.filter(v => v > 0), low = Math.min(...held), high = Math.max(...held), decades = Math.log10(high / low);
    const steps = STEPS.find(([most]) => decades >= most)[1], first = Math.floor(Math.log10(low)) - 2, count = Math.ceil(decades) + 5;
    const tickvals = Array.from({ length: count }, (_, i) => steps.map(step => step * 10 ** (first + i))).flat();
    return { type: "log", tickvals, ticktext: tickvals.map(brief), title: { text: title } };
  };
  const has = (row, ...names) => names.every(name => row[name] !== null && row[name] !== undefined);
  const unique = values => [...new Set(values)];
  const label = row => [row.platform, row.network, row.datatype, row.pruning].filter(Boolean).join(" · ");
  const ordered = (a, b) => a.platform.localeCompare(b.platform) || a.network.localeCompare(b.network) || String(a.datatype).localeCompare(String(b.datatype)) || byKept(a.pruning ?? "dense", b.pruning ?? "dense");
  const short = row => `${row.network} ${row.datatype}${row.pruning && row.pruning !== "dense" ? " " + row.pruning : ""}`;
  const number = value => value === null || value === undefined ? "–" : Number(value).toLocaleString("en", { maximumSignificantDigits: 4 });
  // Decoders' rates are of tokens.
  const unit = row => row.rate ?? "fps", units = rows => unique(rows.map(unit)).sort().join(" or ");
  const hover = row => `<b>${label(row)}</b><br>batch ${row.batch ?? "–"}<br>predicted ${number(row.predicted_fps)} ${unit(row)}<br>` +
    `measured ${number(row.measured_fps)} ${unit(row)}<br>latency ${number(row.latency_ms)} ms` +
    (has(row, "predicted_low_fps", "predicted_high_fps") ? `<br>expected ${number(row.predicted_low_fps)} to ${number(row.predicted_high_fps)} ${unit(row)}` : "") +
    (has(row, "accuracy") ? `<br>accuracy ${number(row.accuracy)} %` : "") + (row.flag ? `<br>flag: ${row.flag}` : "") + (row.explanation ? `<br>${row.explanation}` : "");
  const points = (rows, x, y) => ({ x: rows.map(x), y: rows.map(y), customdata: rows.map(r => r.id), text: rows.map(hover), hovertemplate: "%{text}<extra></extra>" });

  function bestPerConfiguration(rows) {
    const best = new Map();
    for (const row of rows) {
      const key = label(row), held = best.get(key);
      if (!held || (row.measured_fps ?? -1) > (held.measured_fps ?? -1)) best.set(key, row);
    }
    return [...best.values()];
  }
  function frontier(rows, x) {
    const sorted = rows.filter(r => has(r, x, "accuracy")).sort((a, b) => b[x] - a[x] || b.accuracy - a.accuracy);
    const kept = []; let top = -Infinity;
    for (const row of sorted) if (row.accuracy > top) { kept.push(row); top = row.accuracy; }
    return kept;
  }

  function roofline(rows, context) {
    const platforms = unique(rows.map(r => r.platform)), datatypes = unique(rows.map(r => r.datatype));
    const roofs = context.roofs.filter(r => platforms.includes(r.platform) && (datatypes.includes(r.datatype) || !datatypes.some(d => context.roofs.some(o => o.platform === r.platform && o.datatype === d))));
    const needs = context.requirements.filter(q => rows.some(r => r.network === q.network && (!q.datatype || q.datatype === r.datatype) && (!q.pruning || q.pruning === r.pruning)));
    if (!roofs.length) return null;
    const knees = roofs.filter(r => r.bandwidth_b_s).map(r => r.peak_op_s / r.bandwidth_b_s);
    const all = [...knees, ...needs.map(n => n.intensity)].filter(v => v > 0);
    const low = Math.min(...all, 1) / 2, high = Math.max(...all, 100) * 2;
    const traces = roofs.map(r => {
      const knee = r.bandwidth_b_s ? r.peak_op_s / r.bandwidth_b_s : low;
      return { type: "scatter", mode: "lines", name: `${r.platform} ${r.datatype}`, line: { color: context.colour(r.platform), dash: context.dash(r.datatype) },
        x: [low, knee, high], y: [r.bandwidth_b_s ? low * r.bandwidth_b_s / 1e12 : r.peak_op_s / 1e12, r.peak_op_s / 1e12, r.peak_op_s / 1e12],
        hovertemplate: `${r.platform} ${r.datatype}<br>%{y:.4g} TOP/s at %{x:.4g} OP/B<extra></extra>` };
    });
    if (context.onChip) for (const r of roofs.filter(o => o.on_chip)) {
      // Where the platform file does not say how fast the memory is, the compute roof is all that remains.
      const inner = r.on_chip_bandwidth_b_s, outer = r.bandwidth_b_s ? r.peak_op_s / r.bandwidth_b_s : high, knee = inner ? Math.max(r.peak_op_s / inner, low) : low;
      traces.push({ type: "scatter", mode: "lines", name: `${r.platform} ${r.datatype} ${r.on_chip}`, legendgroup: "on-chip", showlegend: false, line: { color: context.colour(r.platform), dash: "dash", width: 1 },
        x: [low, knee, outer], y: [inner ? Math.min(low * inner, r.peak_op_s) / 1e12 : r.peak_op_s / 1e12, r.peak_op_s / 1e12, r.peak_op_s / 1e12],
        hovertemplate: `${r.platform} ${r.datatype}: weights in ${r.on_chip}, ${number(r.on_chip_capacity_b / 1e6)} MB${inner ? "" : " (bandwidth not known)"}<extra></extra>` });
      const fits = needs.filter(n => n.weight_bytes && n.weight_bytes <= r.on_chip_capacity_b && n.datatype === r.datatype);
      if (fits.length) traces.push({ type: "scatter", mode: "markers", name: "fits on the chip", legendgroup: "fits", showlegend: !traces.some(t => t.legendgroup === "fits"), marker: { symbol: "circle-open", size: 11, color: context.colour(r.platform) },
        x: fits.map(n => n.intensity), y: fits.map(n => Math.min(r.peak_op_s, (r.bandwidth_b_s ?? Infinity) * n.intensity) / 1e12), text: fits.map(n => `${n.network} ${n.pruning ?? ""} fits ${r.on_chip} of ${r.platform}`), hovertemplate: "%{text}<extra></extra>" });
    }
    const dots = rows.filter(r => has(r, "measured_fps")).map(r => {
      const need = needs.find(q => q.network === r.network && (!q.datatype || q.datatype === r.datatype) && (!q.pruning || q.pruning === r.pruning));
      return need ? { row: r, x: need.intensity, y: r.measured_fps * need.ops / 1e12 } : null;
    }).filter(Boolean);
    if (dots.length) traces.push({ type: "scatter", mode: "markers", name: "measured", marker: { symbol: "x", size: 7, color: dots.map(d => context.colour(d.row.platform)) },
      x: dots.map(d => d.x), y: dots.map(d => d.y), customdata: dots.map(d => d.row.id), text: dots.map(d => hover(d.row)), hovertemplate: "%{text}<br>%{y:.4g} TOP/s<extra></extra>" });
    const shapes = unique(needs.map(n => `${n.network} ${n.datatype ?? ""}|${n.intensity}`)).map(entry => ({ type: "line", x0: +entry.split("|")[1], x1: +entry.split("|")[1], yref: "paper", y0: 0, y1: 1, line: { width: .6, dash: "dot", color: "#888" } }));
    return { traces, layout: { height: 520, shapes, xaxis: log("operational intensity (OP/B)", [low, high]), yaxis: log("performance (TOP/s)", traces.flatMap(t => t.y)) } };
  }

  function efficiency(rows, context) {
    const best = bestPerConfiguration(rows.filter(r => has(r, "predicted_fps", "measured_fps"))).sort(ordered);
    if (!best.length) return null;
    const x = [best.map(r => r.platform), best.map(short)];
    const bar = (name, colour, field) => ({ type: "bar", name, x, y: best.map(r => r[field]), customdata: best.map(r => r.id), marker: { color: colour }, hovertext: best.map(hover), hovertemplate: "%{hovertext}<extra></extra>" });
    const measured = bar("measured", ORANGE, "measured_fps");
    measured.text = best.map(r => `${(100 * r.measured_fps / r.predicted_fps).toFixed(r.measured_fps / r.predicted_fps < .1 ? 1 : 0)} %`);
    measured.textposition = "outside"; measured.textangle = -90; measured.cliponaxis = false; measured.constraintext = "none"; measured.textfont = { size: 10 };
    const traces = [bar("predicted (Equation 1)", RED, "predicted_fps"), measured];
    if (best.some(r => has(r, "peak_fps"))) traces.push(bar("compute peak", BLUE, "peak_fps"));
    const sure = best.filter(r => has(r, "predicted_low_fps", "predicted_high_fps"));
    if (sure.length) {
      const middle = sure.map(r => Math.sqrt(r.predicted_low_fps * r.predicted_high_fps));
      traces.push({ type: "scatter", mode: "markers", name: "expected of a run", x: [sure.map(r => r.platform), sure.map(short)], y: middle, customdata: sure.map(r => r.id), marker: { symbol: "line-ew-open", size: 8, color: context.ink },
        error_y: { type: "data", symmetric: false, array: sure.map((r, i) => r.predicted_high_fps - middle[i]), arrayminus: sure.map((r, i) => middle[i] - r.predicted_low_fps), color: context.ink, thickness: 1.4, width: 4 },
        text: sure.map(r => `expected ${number(r.predicted_low_fps)} to ${number(r.predicted_high_fps)} ${unit(r)}`), hovertemplate: "%{text}<extra></extra>" });
    }
    return { traces, layout: { height: 560, width: Math.max(context.width, 31 * best.length + 160), barmode: "group", xaxis: { tickangle: -90, automargin: true, tickfont: { size: 10 } }, yaxis: log(`throughput (${units(best)})`, best.flatMap(r => [r.predicted_fps, r.measured_fps])), legend: TOP, margin: { b: 190, t: 60 } } };
  }

  function heatmap(rows, context) {
    const predicted = rows.filter(r => has(r, "predicted_fps"));
    if (!predicted.length) return null;
    const ys = unique(predicted.map(r => `${r.platform} ${r.datatype}`)).sort(), xs = unique([...predicted].sort((a, b) => ordered({ ...a, platform: "", datatype: "" }, { ...b, platform: "", datatype: "" })).map(r => `${r.network}${r.pruning && r.pruning !== "dense" ? " " + r.pruning : ""}`));
    const cell = new Map(predicted.map(r => [`${r.platform} ${r.datatype}|${r.network}${r.pruning && r.pruning !== "dense" ? " " + r.pruning : ""}`, r]));
    const grid = ys.map(y => xs.map(x => cell.get(`${y}|${x}`)));
    const logs = grid.flat().filter(Boolean).map(r => Math.log10(r.predicted_fps));
    const low = Math.floor(Math.min(...logs)), high = Math.max(Math.ceil(Math.max(...logs)), low + 1);
    const ticks = Array.from({ length: high - low + 1 }, (_, i) => low + i);
    return { traces: [{ type: "heatmap", x: xs, y: ys, z: grid.map(line => line.map(r => r ? Math.log10(r.predicted_fps) : null)), zmin: low, zmax: high,
      text: grid.map(line => line.map(r => r ? number(r.predicted_fps) : "")), texttemplate: "%{text}", customdata: grid.map(line => line.map(r => r ? r.id : null)), colorscale: "Viridis", xgap: 1, ygap: 1,
      hovertemplate: `%{y}<br>%{x}<br>%{text} ${units(predicted)}<extra></extra>`, colorbar: { title: { text: units(predicted) }, tickvals: ticks, ticktext: ticks.map(t => number(10 ** t)) } }],
      layout: { height: Math.max(320, 26 * ys.length + 160), width: Math.max(context.width, 56 * xs.length + 260), xaxis: { tickangle: -45, automargin: true }, yaxis: { automargin: true } } };
  }

  function pareto(rows, context) {
    const best = bestPerConfiguration(rows.filter(r => has(r, "accuracy")));
    const measured = best.filter(r => has(r, "measured_fps")), predicted = best.filter(r => has(r, "predicted_fps"));
    if (!measured.length && !predicted.length) return null;
    const colours = list => list.map(r => context.colour(r.platform));
    const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "star", "hexagon"], tasks = unique(best.map(r => r.task ?? null)).sort();
    const symbol = task => SYMBOLS[tasks.indexOf(task) % SYMBOLS.length];
    const traces = [];
    const side = (list, field, name, open, colour) => {
      if (!list.length) return;
      const known = field === "predicted_fps" && list.some(r => has(r, "predicted_low_fps", "predicted_high_fps"));
      const whiskers = known ? { error_x: { type: "data", symmetric: false, array: list.map(r => Math.max(0, (r.predicted_high_fps ?? r[field]) - r[field])), arrayminus: list.map(r => Math.max(0, r[field] - (r.predicted_low_fps ?? r[field]))), thickness: 1, width: 3, color: colour } } : {};
      traces.push({ ...whiskers, type: "scatter", mode: "markers", name, showlegend: false, marker: { symbol: list.map(r => symbol(r.task ?? null) + open), size: 9, color: colours(list), line: { width: 1.6, color: colours(list) } }, ...points(list, r => r[field], r => r.accuracy) });
      // Accuracies of different tasks do not compare: each task has its own frontier.
      for (const [i, task] of unique(list.map(r => r.task ?? null)).sort().entries()) {
        const front = frontier(list.filter(r => (r.task ?? null) === task), field);
        traces.push({ type: "scatter", mode: "lines", name: `${name} frontier`, legendgroup: name, showlegend: i === 0, line: { color: colour, width: 2 }, hoverinfo: "skip", x: front.map(r => r[field]), y: front.map(r => r.accuracy) });
      }
    };
    side(predicted, "predicted_fps", "predicted", "-open", ORANGE);
    side(measured, "measured_fps", "measured", "", BLUE);
    const entry = (name, marker, group, i) => traces.push({ type: "scatter", mode: "markers", x: [null], y: [null], name, marker: { size: 9, ...marker }, legendgroup: group, ...(i ? {} : { legendgrouptitle: { text: group } }), hoverinfo: "skip" });
    if (tasks.length > 1 || tasks[0]) tasks.forEach((task, i) => entry(task ?? "no task", { symbol: symbol(task), color: "#888" }, "task", i));
    unique(best.map(r => r.platform)).sort().forEach((machine, i) => entry(machine, { color: context.colour(machine) }, "machine", i));
    return { traces, layout: { height: Math.max(480, 200 + 20 * traces.filter(t => t.showlegend !== false).length), xaxis: log(`throughput (${units(best)})`, traces.flatMap(t => t.x)), yaxis: { title: { text: "top-1 accuracy (%)" } } } };
  }

  function lines(rows, context) {
    const usable = rows.filter(r => has(r, "latency_ms", "measured_fps"));
    if (!usable.length) return null;
    const groups = Map.groupBy ? Map.groupBy(usable, label) : usable.reduce((m, r) => m.set(label(r), [...(m.get(label(r)) ?? []), r]), new Map());
    const traces = [...groups].sort(([a], [b]) => a.localeCompare(b)).map(([name, group]) => {
      group.sort((a, b) => (a.batch ?? 0) - (b.batch ?? 0));
      return { type: "scatter", mode: group.length > 1 ? "lines+markers" : "markers", name, line: { color: context.colour(group[0].platform), dash: context.dash(group[0].datatype), width: 1 }, marker: { size: 5 }, ...points(group, r => r.latency_ms, r => r.measured_fps) };
    });
    // A legend of a hundred lines names none of them: then it has the machines' colours and the datatypes' dashes.
    if (traces.length > 24) {
      traces.forEach(trace => { trace.showlegend = false; });
      const entry = (name, line, group, i) => traces.push({ type: "scatter", mode: "lines", x: [null], y: [null], name, line, legendgroup: group, ...(i ? {} : { legendgrouptitle: { text: group } }), hoverinfo: "skip" });
      unique(usable.map(r => r.platform)).sort().forEach((machine, i) => entry(machine, { color: context.colour(machine), width: 2 }, "machine", i));
      unique(usable.map(r => r.datatype)).sort().forEach((datatype, i) => entry(datatype ?? "no datatype", { color: "#888", dash: context.dash(datatype), width: 2 }, "datatype", i));
    }
    return { traces, layout: { height: 520, showlegend: true, xaxis: log("latency (ms)", usable.map(r => r.latency_ms)), yaxis: log(`throughput (${units(usable)})`, usable.map(r => r.measured_fps)) } };
  }

  // From the network as it is to what keeps least of it.
  const keptShare = text => text === "dense" ? -1e9 : (/spars/.test(text) ? 1 : -1) * Number((String(text).match(/\d+(\.\d+)?(?!.*\d)/) ?? [0])[0]);
  const byKept = (a, b) => keptShare(a) - keptShare(b) || String(a).localeCompare(String(b), "en", { numeric: true });
  const METRICS = { "throughput (fps)": r => r.measured_fps, "latency (ms)": r => r.latency_ms, "power (W)": r => r.power_w,
    "throughput per watt (fps/W)": r => has(r, "measured_fps", "power_w") ? r.measured_fps / r.power_w : null,
    "throughput (share of the compute peak)": r => has(r, "measured_fps", "peak_fps") ? r.measured_fps / r.peak_fps : null };
  function boxes(rows, context) {
    const metric = METRICS[context.metric] ?? METRICS["throughput (fps)"];
    const usable = rows.filter(r => { const v = metric(r); return v !== null && v !== undefined && v > 0; });
    if (!usable.length) return null;
    const groups = unique(usable.map(r => r.pruning ?? "dense")).sort(byKept);
    // A box never mixes networks, and says of how many points it is.
    const several = unique(usable.map(r => r.network)).length > 1, place = r => `${r.platform} ${r.datatype}${several ? ` ${r.network}` : ""}`;
    const counts = new Map();
    for (const r of usable) { const key = `${place(r)}|${r.pruning ?? "dense"}`; counts.set(key, (counts.get(key) ?? 0) + 1); }
    const ends = r => { const own = groups.map(g => counts.get(`${place(r)}|${g}`)).filter(Boolean); const [least, most] = [Math.min(...own), Math.max(...own)]; return least === most ? `${least}` : `${least}–${most}`; };
    const named = r => `${place(r)} (n = ${ends(r)})`;
    const traces = groups.map((pruning, i) => {
      const mine = usable.filter(r => (r.pruning ?? "dense") === pruning).sort(ordered);
      return { type: "box", name: pruning, x: mine.map(named), y: mine.map(metric), boxmean: true, boxpoints: "outliers", marker: { color: PALETTE[i % PALETTE.length], size: 3 }, customdata: mine.map(r => r.id), hovertext: mine.map(hover) };
    });
    return { traces, layout: { height: 560, boxmode: "group", width: Math.max(context.width, 60 * unique(usable.map(named)).length + 160), legend: TOP, xaxis: { tickangle: -90, automargin: true, tickfont: { size: 10 } }, yaxis: log(context.metric.replace(/fps(?=\)|\/)/, units(usable)), usable.map(metric)) } };
  }

  function power(rows, context) {
    const best = bestPerConfiguration(rows.filter(r => has(r, "power_w"))).sort(ordered);
    if (!best.length) return null;
    return { traces: [{ type: "bar", x: [best.map(r => r.platform), best.map(short)], y: best.map(r => r.power_w), customdata: best.map(r => r.id), marker: { color: best.map(r => context.colour(r.platform)) }, text: best.map(r => r.power_w.toFixed(1)), textposition: "outside", textangle: 0, textfont: { size: 9 }, constraintext: "none", cliponaxis: false, hovertext: best.map(hover), hovertemplate: "%{hovertext}<br>%{y:.1f} W<extra></extra>" }],
      layout: { height: 480, width: Math.max(context.width, 28 * best.length + 160), xaxis: { tickangle: -90, automargin: true, tickfont: { size: 10 } }, yaxis: { title: { text: "power at load (W)" } }, margin: { b: 190, t: 20 } } };
  }

  // What was run where, as the paper's overview tables have it: [INT2, INT4]*[100%, 50%], and the batches.
  function overview(rows) {
    const kept = pruning => { const share = /^keep-channels=([\d.]+)$/.exec(pruning ?? ""); return share ? `${+(100 * share[1]).toPrecision(4)}%` : !pruning || pruning === "dense" ? "100%" : pruning; };
    const cells = new Map();
    for (const row of rows) {
      const key = `${row.platform}\u0000${row.network}`;
      if (!cells.has(key)) cells.set(key, []);
      cells.get(key).push(row);
    }
    const cell = (platform, network) => {
      const own = cells.get(`${platform}\u0000${network}`);
      if (!own) return null;
      const groups = new Map();
      for (const datatype of unique(own.map(r => r.datatype ?? "any"))) {
        const prunings = unique(own.filter(r => (r.datatype ?? "any") === datatype).map(r => kept(r.pruning))).sort((a, b) => parseFloat(b) - parseFloat(a)).join(", ");
        groups.set(prunings, [...(groups.get(prunings) ?? []), datatype.toUpperCase()]);
      }
      const batches = unique(own.map(r => r.batch).filter(b => typeof b === "number")).sort((a, b) => a - b);
      const lines = [...groups].map(([prunings, names]) => `[${names.join(", ")}]*[${prunings}]`);
      if (batches.length) lines.push(`batch ${batches[0]}${batches.length > 1 ? `–${batches[batches.length - 1]}` : ""}`);
      return lines;
    };
    return { platforms: unique(rows.map(r => r.platform)).sort(), networks: unique(rows.map(r => r.network)).sort(), cell };
  }

  return { PALETTE, METRICS, byKept, label, overview, list: [
    { id: "roofline", title: "Rooflines", about: "Compute roofs and memory slopes; dotted lines are the networks' intensities, crosses measured runs.", draw: roofline, onChip: true },
    { id: "efficiency", title: "Efficiency: measured against predicted", about: "Best measured throughput of each configuration; the percentage is measured / predicted.", draw: efficiency },
    { id: "heatmap", title: "Predicted throughput", about: "Frames (of decoders tokens) per second by Equation 1: an upper bound under the traffic assumption named below.", draw: heatmap },
    { id: "pareto", title: "Accuracy against throughput", about: "Hollow predicted, filled measured; colours are machines and shapes tasks; each task has its own frontiers, of the rows that are selected and of no other machine.", draw: pareto },
    { id: "lines", title: "Latency against throughput", about: "One line per configuration, one point per batch, thread or stream count.", draw: lines },
    { id: "boxes", title: "Spread over batches", about: "Quartiles, mean (dashed) and whiskers; one box per pruning factor and network; n is the number of points in a box.", draw: boxes, metric: true },
    { id: "power", title: "Power", about: "At load, at the best throughput of each configuration.", draw: power },
  ] };
})();
