"use strict";
// One scatter of points and lines on a canvas, on axes that end where the data ends.
const Plot = (() => {
  const MARGIN = { left: 74, right: 18, top: 14, bottom: 46 };
  const PREFIXES = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]];

  function short(value) {
    const [factor, prefix] = PREFIXES.find(([least]) => Math.abs(value) >= least * 0.9995) ?? [1, ""];
    return `${Number((value / factor).toPrecision(3))}${prefix}`;
  }

  function scale(axis, values, from, to) {
    const usable = values.filter(value => Number.isFinite(value) && (!axis.log || value > 0));
    let low = usable.reduce((least, value) => Math.min(least, value), Infinity);
    let high = usable.reduce((most, value) => Math.max(most, value), -Infinity);
    const into = axis.log ? Math.log10 : value => value;
    const back = axis.log ? value => 10 ** value : value => value;
    // Room for the marks at both ends; a single value gets an axis of its own.
    const room = 0.04 * (into(high) - into(low)) || (axis.log ? 0.15 : Math.abs(high) / 10 || 1);
    low = into(low) - room;
    high = into(high) + room;
    const at = value => from + (into(value) - low) / (high - low) * (to - from);
    return { at, ticks: axis.log ? decades(low, high, back) : steps(low, high), low: back(low), high: back(high) };
  }
  function decades(low, high, back) {
    const wide = high - low, found = [];
    const each = Math.max(1, Math.ceil(wide / 8));
    const within = wide > 3 ? [1] : wide > 1 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9];
    for (let decade = Math.floor(low); decade <= high; decade += 1) {
      if (decade % each) continue;
      for (const part of within) {
        const place = decade + Math.log10(part);
        if (place >= low && place <= high) found.push(back(place));
      }
    }
    return found;
  }
  function steps(low, high) {
    const raw = (high - low) / 6, ten = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map(part => part * ten).find(size => size >= raw);
    const found = [];
    for (let value = Math.ceil(low / step) * step; value <= high; value += step) found.push(value);
    return found;
  }

  // Draws {x, y, points, lines} and returns a function from a place on the canvas to the nearest point's id.
  function draw(canvas, { x, y, points, lines = [], ink, grid, selected }) {
    const width = canvas.clientWidth, height = canvas.clientHeight, sharp = devicePixelRatio || 1;
    canvas.width = width * sharp;
    canvas.height = height * sharp;
    const pen = canvas.getContext("2d");
    pen.scale(sharp, sharp);
    pen.font = "12px system-ui, sans-serif";
    canvas.dataset.points = points.length;
    const horizontal = scale(x, [...points.map(p => p.x), ...lines.flatMap(l => l.x)], MARGIN.left, width - MARGIN.right);
    const vertical = scale(y, [...points.flatMap(p => [p.y, p.low, p.high]), ...lines.flatMap(l => l.y)], height - MARGIN.bottom, MARGIN.top);
    axes(pen, { x, y, horizontal, vertical, width, height, ink, grid });
    pen.save();
    pen.beginPath();
    pen.rect(MARGIN.left, 0, width - MARGIN.left, height - MARGIN.bottom);
    pen.clip();
    for (const line of lines) {
      path(pen, line.x.map((value, i) => [horizontal.at(value), vertical.at(line.y[i])]));
      stroke(pen, line.colour, 2, line.dash ?? []);
      pen.fillStyle = line.colour;
      const [a, b] = line.label_at ?? [line.x.at(-1), line.y.at(-1)];
      pen.textAlign = line.align ?? "right";
      pen.fillText(line.label ?? "", horizontal.at(a) - 4, vertical.at(b) - 6);
    }
    const whiskers = points.length <= 80;
    for (const point of points) mark(pen, point, horizontal.at(point.x), vertical, whiskers || point.id === selected, point.id === selected, ink);
    pen.restore();
    return (left, top) => {
      let best = null, distance = 14;
      for (const point of points) {
        const far = Math.hypot(horizontal.at(point.x) - left, vertical.at(point.y) - top);
        if (far < distance) [best, distance] = [point, far];
      }
      return best;
    };
  }
  function axes(pen, { x, y, horizontal, vertical, width, height, ink, grid }) {
    const bottom = height - MARGIN.bottom;
    pen.fillStyle = ink;
    pen.textAlign = "center";
    let edge = -Infinity;
    for (const tick of horizontal.ticks) {
      const place = horizontal.at(tick), text = x.plain ? String(tick) : short(tick), half = pen.measureText(text).width / 2;
      path(pen, [[place, MARGIN.top], [place, bottom]]);
      stroke(pen, grid, 1, []);
      if (place - half < edge + 6) continue;
      pen.fillText(text, place, bottom + 17);
      edge = place + half;
    }
    pen.fillText(x.label, (MARGIN.left + width - MARGIN.right) / 2, height - 8);
    pen.textAlign = "right";
    let above = Infinity;
    for (const tick of vertical.ticks) {
      const place = vertical.at(tick);
      path(pen, [[MARGIN.left, place], [width - MARGIN.right, place]]);
      stroke(pen, grid, 1, []);
      if (place > above - 14) continue;
      pen.fillText(y.plain ? String(tick) : short(tick), MARGIN.left - 6, place + 4);
      above = place;
    }
    pen.save();
    pen.translate(14, (MARGIN.top + bottom) / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillText(y.label, 0, 0);
    pen.restore();
  }
  function mark(pen, point, left, vertical, whisker, chosen, ink) {
    const top = vertical.at(point.y);
    if (whisker && point.low && point.high) {
      path(pen, [[left, vertical.at(point.low)], [left, vertical.at(point.high)]]);
      stroke(pen, point.colour, 1.5, []);
    }
    pen.beginPath();
    pen.arc(left, top, chosen ? 7 : 4, 0, 2 * Math.PI);
    pen.fillStyle = point.colour;
    if (point.hollow) stroke(pen, point.colour, 1.5, []);
    else pen.fill();
    if (chosen) { pen.beginPath(); pen.arc(left, top, 9, 0, 2 * Math.PI); stroke(pen, ink, 2, []); }
  }
  function path(pen, places) {
    pen.beginPath();
    places.forEach(([left, top], i) => (i ? pen.lineTo(left, top) : pen.moveTo(left, top)));
  }
  function stroke(pen, colour, width, dash) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.setLineDash(dash);
    pen.stroke();
    pen.setLineDash([]);
  }
  return { draw, short };
})();
