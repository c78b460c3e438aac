// Slots, line, runs and waits: lists that are patched in place, so that focus and scroll stay.
import { $, attr, clock, command, h, keyed, label, ms, rough, span, tail, text, ticks } from './dom.js';
import { S, color, now } from './state.js';

const DENSE = 48;
const LINE = 10, RUNS = 16;
export const MARKS = { COMPLETED: '✓', FAILED: '✕', CRASHED: '⚡', TIMED_OUT: '◷', CANCELLED: '■' };
const GOOD = { COMPLETED: 'ok', CANCELLED: 'mut' };

export function drawPanels(open) {
  slots(open);
  legend();
  line(open);
  runs(open);
  waits();
}

// -- slots ------------------------------------------------------------------------------------

function slots(open) {
  const { data } = S;
  const free = data.limit === null ? 0 : Math.max(0, data.limit - data.slots_used);
  const cells = [...data.holders].sort((a, b) => place(a.queue) - place(b.queue));
  // Those that the answer has no room for are cells, too.
  for (const queue of data.queues) {
    const more = queue.slots_used - cells.filter((cell) => cell.queue === queue.name).length;
    for (let n = 0; n < more; n++) cells.push({ id: `more.${queue.name}.${n}`, queue: queue.name, nameless: true });
  }
  for (let n = 0; n < free; n++) cells.push({ id: `free.${n}`, free: true });
  $('slots').classList.toggle('dense', cells.length > DENSE);
  keyed($('slots'), cells, (cell) => cell.id, (cell) => slot(cell, open), drawSlot);
  const of = data.limit === null ? 'held, no limit' : `of ${data.limit} held`;
  text($('slots-sum'), `${data.slots_used} ${of}`);
  text($('slots-type'), data.type);
  if (!cells.length) $('slots').replaceChildren(hint('No slot is held.', `push-dispatch run submit ${data.name} -- echo hello`));
  $('paused').hidden = !data.paused;
  if (data.paused && !$('paused').firstChild) {
    $('paused').append('Paused: what runs goes on, and nothing starts. ', command(`push-dispatch pool resume ${data.name}`));
  }
  if (!data.paused) $('paused').replaceChildren();
}

const place = (queue) => S.data.queues.findIndex((q) => q.name === queue);

function slot(cell, open) {
  if (cell.free) return h('div', { class: 'slot free' }, 'free');
  if (cell.nameless) return h('div', { class: 'slot' });
  return h('button', { type: 'button', class: 'slot', 'data-run': cell.id, on: { click: () => open(cell.id) } },
    h('span'), h('small'));
}

function drawSlot(el, cell) {
  if (cell.free) return;
  const stopping = cell.state === 'CANCELLING';
  const phase = stopping ? 'stop' : cell.started || cell.nameless ? '' : 'start';
  attr(el, 'class', `slot ${color(cell.queue)} ${phase}`);
  attr(el, 'title', cell.nameless ? cell.queue : `${label(cell)}, ${cell.queue}, ${cell.state}`);
  if (cell.nameless) return;
  const since = stopping ? 'cancelling' : cell.started ? span(now() - ms(cell.started)) : 'starting';
  attr(el, 'aria-label', `${label(cell)}, queue ${cell.queue}, ${cell.started && !stopping ? `running for ${since}` : since}`);
  text(el.firstChild, label(cell));
  text(el.lastChild, since);
}

function legend() {
  keyed($('legend'), S.data.queues, (q) => q.name, () => h('li', null, h('i', { 'aria-hidden': 'true' }), h('b'), ' ', h('span')), (el, q) => {
    attr(el, 'class', color(q.name));
    const [, name, , rest] = el.childNodes;
    text(name, q.name);
    const limit = q.limit === null ? `${q.slots_used}` : `${q.slots_used} of ${q.limit}`;
    const waiting = q.waiting ? ` · ${q.waiting}${q.waiting_more ? '+' : ''} wait` : '';
    text(rest, `${limit} · priority ${q.priority}${waiting}`);
  });
}

// -- the line ---------------------------------------------------------------------------------

function line(open) {
  const { data } = S;
  const shown = S.all.line ? data.waiting : data.waiting.slice(0, LINE);
  keyed($('line-rows'), shown, (run) => run.id, (run) => lineRow(run, open), drawLineRow);
  $('line').hidden = !shown.length;
  const total = `${data.waiting_total}${data.waiting_more ? '+' : ''}`;
  text($('line-sum'), data.waiting_total ? `${total} waiting, first in line first` : 'no run waits');
  const next = data.waiting.find((run) => run.estimated_start);
  text($('line-next'), next ? `next start ${soon(ms(next.estimated_start))}` : '');
  more($('line-more'), 'line', data.waiting.length - LINE, data.waiting_total - data.waiting.length);
  if (!data.waiting_total) {
    const full = data.limit !== null && data.slots_used >= data.limit;
    const words = full ? 'The next run would wait for a slot.' : 'The next run starts about a second after it is submitted.';
    $('line-more').replaceChildren(hint(words, `push-dispatch run submit ${data.name} -- echo hello`));
  }
}

function lineRow(run, open) {
  const name = h('button', { type: 'button', class: 'link', 'data-run': run.id, on: { click: () => open(run.id) } });
  const queue = h('span', { class: 'chip' }, h('i', { 'aria-hidden': 'true' }), h('span'));
  return h('tr', null, h('td'), h('td', null, name), h('td', { class: 'q' }, queue),
    h('td', { class: 'why' }, h('code'), h('span', { class: 'mut' })), h('td', { class: 'due mut' }), h('td', { class: 'r' }));
}

function drawLineRow(row, run) {
  const [number, name, queue, why, due, starts] = row.children;
  text(number, String(run.place));
  text(name.firstChild, run.deployment ? `${run.deployment} ${tail(run.id)}` : tail(run.id));
  attr(queue.firstChild, 'class', `chip ${color(run.queue)}`);
  text(queue.firstChild.lastChild, run.queue);
  text(why.firstChild, run.reason);
  const about = S.reasons.get(run.reason);
  text(why.lastChild, [about && ` ${about.sentence}`, run.attempt > 1 && ` Attempt ${run.attempt}.`].filter(Boolean).join(''));
  if (about) attr(why, 'title', about.remedy);
  text(due, ms(run.due) > now() ? `in ${rough(ms(run.due) - now())}` : `${rough(now() - ms(run.due))} ago`);
  text(starts, run.reason === 'admissible' ? 'next' : run.estimated_start ? soon(ms(run.estimated_start)) : '–');
  row.classList.toggle('next', run.reason === 'admissible');
  row.classList.toggle('selected', S.run === run.id);
}

const soon = (moment) => (moment - now() < 1500 ? 'now' : `in ${rough(moment - now())}`);

function more(el, list, hidden, unlisted) {
  const all = S.all[list];
  const words = [
    hidden > 0 && !all && `Show ${hidden} more`,
    hidden > 0 && all && 'Show fewer',
  ].filter(Boolean)[0];
  const rest = unlisted > 0 ? ` and ${unlisted} behind them` : '';
  const signature = `${words}${rest}`;
  if (el.dataset.shown === signature && el.firstChild) return;
  el.dataset.shown = signature;
  const button = words && h('button', { type: 'button', class: 'link', on: { click: () => { S.all[list] = !S.all[list]; el.dataset.shown = ''; document.dispatchEvent(new Event('redraw')); } } }, words);
  el.replaceChildren(...[button, rest && h('span', { class: 'mut' }, rest)].filter(Boolean));
}

export function hint(words, ...lines) {
  return h('span', { class: 'hint' }, words, ...lines.map((one) => command(one)));
}

// -- recent runs ------------------------------------------------------------------------------

function runs(open) {
  const { data } = S;
  const from = now() - S.minutes * 60000;
  const all = [...data.holders, ...data.recent.filter((run) => ms(run.ended) > from)];
  const shown = S.all.runs ? all : all.slice(0, RUNS);
  const begin = Math.max(from, Math.min(now() - 60000, ...shown.map((run) => ms(run.due ?? run.since ?? run.admitted) ?? Infinity)));
  const counts = Object.entries(data.counts).map(([state, n]) => `${n} ${state.toLowerCase().replace('_', ' ')}`);
  text($('runs-sum'), counts.join(' · ') + (data.complete ? '' : ' among the last ones'));
  const gantt = $('gantt');
  if (!gantt.firstChild) gantt.append(h('div', { class: 'ticks', 'aria-hidden': 'true' }), h('div', { class: 'rows' }));
  const [axis, rows] = gantt.children;
  gantt.hidden = !shown.length;
  const scale = (moment) => (100 * (Math.min(Math.max(moment, begin), now()) - begin)) / (now() - begin);
  keyed(rows, shown, (run) => run.id, (run) => ganttRow(run, open), (el, run) => drawGanttRow(el, run, scale));
  const { times, seconds } = ticks(begin, now(), Math.max(2, Math.floor(axis.clientWidth / 90)));
  axis.replaceChildren(...times.map((t) => h('span', { class: scale(t) > 96 ? 'edge' : '', style: { left: `${scale(t)}%` } }, clock(t, seconds))));
  more($('runs-more'), 'runs', all.length - RUNS, 0);
  if (!shown.length) {
    $('runs-more').replaceChildren(hint('No run in this time. Submit one, and watch it here:', `push-dispatch run submit ${data.name} -- echo hello`));
  }
}

function ganttRow(run, open) {
  return h('button', { type: 'button', class: 'run', 'data-run': run.id, on: { click: () => open(run.id) } },
    h('span', { class: 'name' }), h('span', { class: 'track' }, h('i', { class: 'wait' }), h('i', { class: 'begin' }), h('i', { class: 'work' }), h('span', { class: 'mark' })));
}

function drawGanttRow(row, run, scale) {
  const [name, track] = row.children;
  const [wait, begin, work, mark] = track.children;
  const due = ms(run.due), admitted = ms(run.admitted ?? run.since), started = ms(run.started);
  const end = ms(run.ended) ?? now();
  text(name, label(run));
  attr(row, 'class', `run ${color(run.queue)}${S.run === run.id ? ' selected' : ''}`);
  bar(wait, due ?? admitted ?? end, admitted ?? end, scale);
  bar(begin, admitted ?? end, started ?? end, scale);
  bar(work, started ?? end, end, scale);
  const at = scale(end);
  mark.style.setProperty('left', `${at}%`);
  mark.classList.toggle('inside', at > 93);
  text(mark, run.ended ? (MARKS[run.state] ?? run.state) : '');
  mark.classList.remove('ok', 'mut', 'bad');
  mark.classList.add(GOOD[run.state] ?? 'bad');
  attr(row, 'aria-label', [label(run), `queue ${run.queue}`, run.state, due && admitted && `waited ${span(admitted - due)}`,
    admitted && `started in ${span((started ?? end) - admitted)}`, started && `ran ${span(end - started)}`].filter(Boolean).join(', '));
  attr(row, 'title', row.getAttribute('aria-label'));
}

function bar(el, from, to, scale) {
  const left = scale(from), right = scale(to);
  el.style.setProperty('left', `${left}%`);
  el.style.setProperty('width', `${Math.max(0, right - left)}%`);
  el.hidden = to <= from;
}

// -- waits ------------------------------------------------------------------------------------

const bound = (s) => (s < 60 ? `${s} s` : s < 3600 ? `${s / 60}m` : `${s / 3600}h`);

function waits() {
  const { bounds, counts, p50, p95 } = S.data.waits;
  const total = counts.reduce((a, b) => a + b, 0);
  const most = Math.max(1, ...counts);
  text($('waits-sum'), total ? `half within ${span(p50 * 1000)}, 95 % within ${span(p95 * 1000)}, of ${total} runs` : 'no run has started yet');
  $('waits').hidden = !total;
  const items = counts.map((count, place) => ({ count, name: place < bounds.length ? `≤ ${bound(bounds[place])}` : `> ${bound(bounds.at(-1))}` }));
  keyed($('waits'), items, (item) => item.name, (item) => h('div', { role: 'img' }, h('b'), h('i'), h('small', null, item.name)), (el, item) => {
    text(el.children[0], item.count ? String(item.count) : '');
    el.children[1].style.setProperty('height', `${(100 * item.count) / most}%`);
    attr(el, 'aria-label', `${item.name}: ${item.count} runs`);
  });
}
