// What if? The next hour as it is and as it might be, played by the decision that dispatches.
import { $, api, at, attr, command, h, problemView, say, span } from './dom.js';
import { S, color } from './state.js';

const W = { pool: null, limit: undefined, queues: new Map(), result: null, asked: -Infinity, timer: 0, busy: null, problem: null, drawn: '' };
const AGAIN = 15000;

export const future = () => (S.what && W.pool === S.pool && W.result ? (changed() ? W.result.changed : W.result.now).occupancy : null);

/** What is to change, in the words of `simulate` and of `change`. */
export function change() {
  const queues = {};
  for (const q of S.data.queues) {
    const wanted = W.queues.get(q.name) ?? {};
    const own = {};
    if (wanted.limit !== undefined && wanted.limit !== q.limit) own.limit = wanted.limit;
    if (wanted.priority !== undefined && wanted.priority !== q.priority) own.priority = wanted.priority;
    if (Object.keys(own).length) queues[q.name] = own;
  }
  const pool = W.limit !== undefined && W.limit !== S.data.limit ? { limit: W.limit } : {};
  return { pool, queues };
}

export const changed = () => Object.keys(change().pool).length + Object.keys(change().queues).length > 0;

/** The commands that do the same. */
export function commands() {
  const { pool, queues } = change();
  const limit = (noun, name, n, where) => `push-dispatch ${noun} ${n === null ? 'clear-limit' : 'set-limit'} ${name}${n === null ? '' : ` ${n}`}${where}`;
  const lines = 'limit' in pool ? [limit('pool', S.pool, pool.limit, '')] : [];
  for (const [name, own] of Object.entries(queues)) {
    const where = ` --pool ${S.pool}`;
    if ('limit' in own) lines.push(limit('queue', name, own.limit, where));
    if ('priority' in own) lines.push(`push-dispatch queue update ${name} --priority ${own.priority}${where}`);
  }
  return lines;
}

/** After each refresh, and when it is opened or closed. */
export function drawWhatIf() {
  attr($('what-open'), 'aria-expanded', String(S.what));
  $('what').hidden = !S.what;
  if (!S.what) return;
  if (W.pool !== S.pool || W.shape !== shape()) build();
  if (performance.now() - W.asked > AGAIN) ask(0);
}

// Another browser, or the command line, may have changed the pool: then the fields start from there.
const shape = () => JSON.stringify([S.data.limit, S.data.queues.map((q) => [q.name, q.priority, q.limit])]);

function reset() {
  Object.assign(W, { limit: undefined, result: W.result });
  W.queues.clear();
  build();
  ask(0);
}

function build() {
  if (W.pool !== S.pool) Object.assign(W, { limit: undefined, result: null, queues: new Map(), asked: -Infinity });
  W.pool = S.pool;
  W.shape = shape();
  const limit = W.limit === undefined ? S.data.limit : W.limit;
  const number = field('Pool limit', limit, 'none', 0, (n) => { W.limit = n; if (n !== null) slider.value = n; });
  const slider = h('input', { type: 'range', min: 0, max: Math.max(10, 2 * (S.data.limit ?? S.data.slots_used)), 'aria-label': 'Pool limit, as a slider' });
  slider.value = limit ?? slider.max;
  slider.addEventListener('input', () => { W.limit = Number(slider.value); number.value = slider.value; ask(); });
  const rows = S.data.queues.map((q) => {
    const wanted = W.queues.get(q.name) ?? {};
    const set = (key) => (n) => W.queues.set(q.name, { ...W.queues.get(q.name), [key]: n });
    return h('tr', { class: color(q.name) },
      h('th', { scope: 'row' }, h('span', { class: 'chip' }, h('i', { 'aria-hidden': 'true' }), q.name)),
      h('td', null, field(`Priority of ${q.name}`, wanted.priority ?? q.priority, '', 1, set('priority'))),
      h('td', null, field(`Limit of ${q.name}`, wanted.limit === undefined ? q.limit : wanted.limit, 'none', 0, set('limit'))));
  });
  $('what').replaceChildren(
    h('div', { class: 'controls' },
      h('label', { class: 'slide' }, h('span', null, 'Pool limit'), slider, number),
      h('table', null,
        h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Queue'), h('th', { scope: 'col' }, 'Priority'), h('th', { scope: 'col' }, 'Limit'))),
        h('tbody', null, ...rows))),
    h('div', { class: 'res', id: 'what-res', 'aria-live': 'polite' }),
    h('div', { class: 'act', id: 'what-act' }));
  show();
}

function field(name, value, nothing, least, set) {
  const input = h('input', { type: 'number', min: least, max: 10000, step: 1, 'aria-label': name, placeholder: nothing });
  input.value = value ?? '';
  input.addEventListener('input', () => {
    if (!input.checkValidity() || (input.value === '' && !nothing)) return;
    set(input.value === '' ? null : Number(input.value));
    ask();
  });
  return input;
}

/** Simulate soon: once for many moves of a slider. */
function ask(delay = 200) {
  if (delay) W.problem = null; // Something else is tried.
  W.asked = performance.now();
  clearTimeout(W.timer);
  show();
  W.timer = setTimeout(simulate, delay);
}

async function simulate() {
  const pool = S.pool;
  W.busy?.abort();
  W.busy = new AbortController();
  try {
    const result = await api('POST', `${at('pools', pool)}/simulate`, { body: { change: change(), hours: 1 }, signal: W.busy.signal });
    if (pool !== S.pool) return;
    W.result = result;
    show();
  } catch (problem) {
    if (problem.name !== 'AbortError') $('what-res')?.replaceChildren(problemView(problem));
  }
  document.dispatchEvent(new Event('redraw'));
}

function show() {
  if (!$('what-res')) return;
  if (W.result) results();
  else $('what-res').replaceChildren(h('span', { class: 'mut' }, 'simulating …'));
  actions();
}

function results() {
  const before = new Map(W.result.now.reports.map((r) => [r.queue, r]));
  const after = new Map(W.result.changed.reports.map((r) => [r.queue, r]));
  const all = after.get('*');
  if (!all || !all.runs) {
    $('what-res').replaceChildren(h('p', { class: 'mut' }, 'Nothing waits, and no schedule fires within the hour: there is nothing to simulate. Submit runs, or give a deployment a schedule.'));
    return;
  }
  const rows = ['*', ...S.data.queues.map((q) => q.name)].filter((name) => after.get(name)?.runs).map((name) => {
    const [was, is] = [before.get(name), after.get(name)];
    return h('tr', null,
      h('th', { scope: 'row' }, name === '*' ? h('b', null, 'whole pool') : name),
      h('td', { class: 'r' }, String(is.runs)), delta(was?.wait_p50, is.wait_p50), delta(was?.wait_p95, is.wait_p95),
      h('td', { class: 'r' }, is.never_started ? h('span', { class: 'bad' }, String(is.never_started)) : '–'));
  });
  $('what-res').replaceChildren(h('table', null,
    h('thead', null, h('tr', null, ...['Next hour', 'Runs', 'Median wait', '95 %', 'Not started'].map((name, n) => h('th', { scope: 'col', class: n ? 'r' : '' }, name)))),
    h('tbody', null, ...rows)));
}

/** The wait as it would be, and as it is if that is another one. */
function delta(was, is) {
  const better = was !== undefined && is < was - 0.5, worse = was !== undefined && is > was + 0.5;
  const sign = better ? '▼ ' : worse ? '▲ ' : '';
  return h('td', { class: 'r' }, h('b', { class: better ? 'ok' : worse ? 'bad' : '' }, sign + span(is * 1000)),
    (better || worse) && h('small', null, `was ${span(was * 1000)}`));
}

/** Only what is new is drawn: a button that has the focus keeps it. */
function actions() {
  const box = $('what-act');
  const drawn = JSON.stringify([commands(), W.problem?.message]);
  if (box.firstChild && W.drawn === drawn) return;
  W.drawn = drawn;
  if (!changed()) {
    box.replaceChildren(h('p', { class: 'mut' }, 'Move a limit or a priority: the next hour is played by the code that dispatches. Nothing changes before you apply it.'));
    return;
  }
  const apply = h('button', { type: 'button', class: 'btn p', id: 'what-apply' }, 'Apply');
  apply.addEventListener('click', () => carryOut(apply));
  const back = h('button', { type: 'button', class: 'btn', on: { click: reset } }, 'Reset');
  box.replaceChildren(h('p', { class: 'btns' }, apply, back),
    h('div', { class: 'mut' }, 'the same by the command line:'), ...commands().map((line) => command(line)), W.problem && problemView(W.problem) || '');
}

/** All of it or nothing, and only if the pool is still the one that was simulated. */
async function carryOut(button) {
  attr(button, 'disabled', true);
  W.problem = null;
  try {
    const pool = await api('POST', `${at('pools', S.pool)}/change`, { body: change(), headers: { 'If-Match': `"${S.data.version}"` } });
    say(`Applied: ${commands().length === 1 ? 'one change' : `${commands().length} changes`} of ${S.pool}.`);
    Object.assign(S.data, { limit: pool.limit, version: pool.version });
    for (const q of S.data.queues) Object.assign(q, (({ priority, limit }) => ({ priority, limit }))(pool.queues.find((each) => each.name === q.name) ?? q));
    reset();
    document.dispatchEvent(new Event('refresh'));
  } catch (problem) {
    W.problem = problem;
    actions();
    document.dispatchEvent(new Event('refresh'));
  }
}

export function toggle() {
  S.what = !S.what;
  W.asked = -Infinity;
  drawWhatIf();
  if (S.what) $('what').querySelector('input[type=range]')?.focus();
}
