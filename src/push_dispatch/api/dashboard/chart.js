// Slots held over time, stacked by queue, with the limit as a line; drawn for the width there is.
import { $, clock, h, keyed, ms, svg, text, ticks } from './dom.js';
import { S, color, now } from './state.js';

const HEIGHT = 190, LEFT = 30, RIGHT = 8, TOP = 16, BOTTOM = 22;

/** `future` is a simulated series, or null; `changed` is whether it has another configuration. */
export function drawChart(future, changed) {
  const box = $('occ');
  const width = Math.max(240, box.clientWidth);
  const past = S.data.occupancy;
  const begin = ms(past.start), here = now();
  const end = future ? ms(future.start) + future.step_seconds * 1000 * (valuesOf(future) - 1) : here;
  const x = (t) => LEFT + ((Math.min(Math.max(t, begin), end) - begin) / (end - begin)) * (width - LEFT - RIGHT);
  const limits = [S.data.limit, future?.limit].filter((n) => n !== null && n !== undefined);
  const held = Math.max(peak(past), future ? peak(future) : 0);
  // A limit far above what is held would press everything to the ground.
  const top = Math.max(1, held, ...limits.filter((n) => n <= Math.max(10, held * 4))) * 1.12;
  const y = (n) => HEIGHT - BOTTOM - (n / top) * (HEIGHT - TOP - BOTTOM);
  const picture = svg('svg', { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: 'img', 'aria-label': words(past, future) });
  axes(picture, { x, y, top, width, begin, end });
  areas(picture, past, x, y, begin, here, 'past');
  if (future) {
    areas(picture, future, x, y, here, end, 'future');
    picture.append(svg('line', { class: 'now', x1: x(here), x2: x(here), y1: TOP - 4, y2: HEIGHT - BOTTOM }));
    picture.append(svg('text', { x: x(here) - 5, y: TOP + 4, 'text-anchor': 'end', class: 'strong' }, 'now'));
  }
  limit(picture, S.data.limit, begin, here, x, y, top, 'limit', 'limit');
  if (future) limit(picture, future.limit, here, end, x, y, top, changed ? 'limit tried' : 'limit', changed ? 'what if' : '');
  box.replaceChildren(picture);
  pointing(box, picture, { past, future, here, begin, end, width });
  summary(past);
}

const valuesOf = (series) => Math.max(...Object.values(series.queues).map((line) => line.length), 2);
const sums = (series) => Array.from({ length: valuesOf(series) }, (_, n) => Object.values(series.queues).reduce((sum, line) => sum + (line[n] ?? 0), 0));
const peak = (series) => Math.max(0, ...sums(series));

function words(past, future) {
  const held = sums(past);
  const most = Math.max(...held);
  const later = future ? ` In the next hour at most ${peak(future)}.` : '';
  return `Slots held in the last ${S.minutes} minutes: ${held.at(-1)} now, at most ${most}, ${S.data.limit === null ? 'no limit' : `limit ${S.data.limit}`}.${later}`;
}

function axes(picture, { x, y, top, width, begin, end }) {
  const step = [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000].find((s) => top / s <= 5) ?? 1000;
  for (let n = 0; n <= top; n += step) {
    picture.append(svg('line', { class: 'axis', x1: LEFT, x2: width - RIGHT, y1: y(n), y2: y(n) }),
      svg('text', { x: LEFT - 7, y: y(n) + 4, 'text-anchor': 'end' }, String(n)));
  }
  const { times, seconds } = ticks(begin, end, Math.max(2, Math.floor(width / 90)));
  for (const t of times) {
    const at = x(t);
    const anchor = at < LEFT + 20 ? 'start' : at > width - 30 ? 'end' : 'middle';
    picture.append(svg('text', { x: at, y: HEIGHT - 5, 'text-anchor': anchor }, clock(t, seconds)));
  }
}

/** One band a queue, the last served at the bottom: what gives way moves least. */
function areas(picture, series, x, y, from, to, kind) {
  const start = ms(series.start), step = series.step_seconds * 1000, count = valuesOf(series);
  const edge = (n) => x(Math.min(Math.max(start + n * step, from), to));
  let base = new Array(count).fill(0);
  for (const queue of [...S.data.queues].reverse()) {
    const values = series.queues[queue.name] ?? [];
    const up = base.map((b, n) => b + (values[n] ?? 0));
    if (up.some((u, n) => u > base[n])) {
      let path = '';
      for (let n = 0; n < count; n++) path += `${n ? 'L' : 'M'}${edge(n)},${y(up[n])}L${edge(n + 1)},${y(up[n])}`;
      for (let n = count - 1; n >= 0; n--) path += `L${edge(n + 1)},${y(base[n])}L${edge(n)},${y(base[n])}`;
      picture.append(svg('path', { d: `${path}Z`, class: `area ${kind} ${color(queue.name)}` }));
    }
    base = up;
  }
}

function limit(picture, value, from, to, x, y, top, kind, name) {
  if (value === null || value > top) return;
  picture.append(svg('line', { class: kind, x1: x(from), x2: x(to), y1: y(value), y2: y(value) }));
  if (name) picture.append(svg('text', { x: x(from) + 6, y: y(value) - 5, class: kind }, `${name} ${value}`));
}

function summary(past) {
  const rest = S.data.complete ? '' : ', as far as the last few hundred runs tell';
  text($('occ-sum'), `last ${S.minutes < 120 ? `${S.minutes} minutes` : `${S.minutes / 60} hours`}${rest}`);
  const line = S.data.limit === null ? [] : [{ name: '― limit', class: '' }];
  const shown = [...S.data.queues.filter((q) => (past.queues[q.name] ?? []).some(Boolean) || q.slots_used).map((q) => ({ name: q.name, class: color(q.name) })), ...line];
  keyed($('occ-legend'), shown, (item) => item.name, (item) => h('span', null, item.class ? h('i', { 'aria-hidden': 'true' }) : '', item.name), (el, item) => { el.className = item.class; });
}

/** What was held at the moment that is pointed at. */
function pointing(box, picture, { past, future, here, begin, end, width }) {
  const mark = svg('line', { class: 'point', y1: TOP, y2: HEIGHT - BOTTOM, visibility: 'hidden' });
  picture.append(mark);
  box.onpointerleave = () => { mark.setAttribute('visibility', 'hidden'); text($('occ-at'), ''); };
  box.onpointermove = (event) => {
    const px = Math.min(Math.max(event.clientX - box.getBoundingClientRect().left, LEFT), width - RIGHT);
    const t = begin + ((px - LEFT) / (width - LEFT - RIGHT)) * (end - begin);
    const series = t > here && future ? future : past;
    const n = Math.max(0, Math.min(valuesOf(series) - 1, Math.floor((t - ms(series.start)) / (series.step_seconds * 1000))));
    const parts = S.data.queues.map((q) => [q.name, series.queues[q.name]?.[n] ?? 0]).filter(([, held]) => held).map(([name, held]) => `${name} ${held}`);
    mark.setAttribute('x1', px);
    mark.setAttribute('x2', px);
    mark.setAttribute('visibility', 'visible');
    text($('occ-at'), `${clock(t, true)} · ${parts.join(' · ') || 'nothing'}`);
  };
}
