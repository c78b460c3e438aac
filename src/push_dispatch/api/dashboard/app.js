// The page: which pool is shown, when it is asked for, and which keys do what.
import { $, Problem, api, at, attr, command, h, keyed, label, problemView, say, text } from './dom.js';
import { S, readAddress, writeAddress } from './state.js';
import { drawPanels } from './panels.js';
import { drawChart } from './chart.js';
import { changed, drawWhatIf, future, toggle } from './whatif.js';
import { closeRun, openRun, refresh as refreshRun, show as showRun } from './drawer.js';

const EVERY = 2000, SLOWEST = 30000, POOLS_EVERY = 30000;
const MINUTES = [[15, '15 min'], [60, '1 h'], [360, '6 h'], [1440, '24 h']];
const L = { timer: 0, wait: EVERY, asking: null, pools: -Infinity };

// -- asking -----------------------------------------------------------------------------------

/** One request a refresh; the list of pools comes along twice a minute. */
async function refresh() {
  clearTimeout(L.timer);
  L.asking?.abort();
  const asking = (L.asking = new AbortController());
  try {
    const pools = !S.pool || performance.now() - L.pools > POOLS_EVERY ? refreshPools(asking.signal) : null;
    if (S.pool) pools?.catch(() => {}); // Both at once; what goes wrong with it is seen below.
    else await pools;
    if (S.pool) {
      const pool = S.pool;
      const data = await api('GET', `${at('pools', pool)}/overview?minutes=${S.minutes}&recent=100`, { signal: asking.signal });
      if (pool !== S.pool) return;
      Object.assign(S, { data, got: performance.now() });
      if (isTooLong(data.occupancy)) return choose15();
      draw();
      refreshRun(false);
    }
    await pools;
    L.wait = EVERY;
    problem(null);
  } catch (error) {
    if (error.name === 'AbortError') return;
    L.wait = Math.min(L.wait * 2, SLOWEST);
    problem(error);
  }
  again();
}

/** Whether a pool is so new that its first hour would be an empty picture with a line at its edge. */
function isTooLong(past) {
  if (S.chosen || S.minutes !== 60) return false;
  const lines = Object.values(past.queues);
  const begun = Math.min(...lines.map((line) => line.findIndex(Boolean)).filter((n) => n >= 0));
  return Number.isFinite(begun) && begun >= 0.75 * Math.max(...lines.map((line) => line.length));
}

function choose15() {
  S.minutes = 15;
  drawMinutes();
  return refresh();
}

function again() {
  clearTimeout(L.timer);
  if (S.live && !document.hidden) L.timer = setTimeout(refresh, L.wait);
}

async function refreshPools(signal) {
  const found = [];
  let after = '';
  do {
    const page = await api('GET', `/pools?limit=200&after=${encodeURIComponent(after)}`, { signal });
    found.push(...page.items);
    after = page.next;
  } while (after && found.length < 1000);
  S.pools = found;
  L.pools = performance.now();
  S.pool ??= found[0]?.name ?? null;
  writeAddress();
  drawPools();
  if (!found.length) empty('No pool yet.', 'A pool is a type of infrastructure with a limit. Make one that executes processes on this machine, and submit a run:',
    'push-dispatch pool create my-pool --type process --limit 2', 'push-dispatch run submit my-pool -- echo hello');
}

/** What reasons mean does not change while the page is open. */
async function loadReasons() {
  const { items } = await api('GET', '/reasons');
  S.reasons = new Map(items.map((reason) => [reason.token, reason]));
  if (S.data) draw();
}

// -- drawing ----------------------------------------------------------------------------------

function draw() {
  if (!S.data || S.data.name !== S.pool) return;
  $('empty').hidden = true;
  $('pool').hidden = false;
  document.title = `${S.pool} · push-dispatch`;
  drawPanels(openRun);
  drawWhatIf();
  drawChart(future(), changed());
  drawPools();
  live();
}

function drawPools() {
  keyed($('pools'), S.pools, (pool) => pool.name, (pool) => h('a', { href: `?pool=${encodeURIComponent(pool.name)}`, on: { click: (event) => { event.preventDefault(); choose(pool.name); } } }, h('span', null, pool.name), h('small')), (el, pool) => {
    const here = S.data?.name === pool.name ? S.data : pool;
    attr(el, 'aria-current', pool.name === S.pool ? 'page' : null);
    text(el.lastChild, here.paused ? 'paused' : here.limit === null ? `${here.slots_used}` : `${here.slots_used}/${here.limit}`);
  });
}

function choose(name) {
  if (name === S.pool) return;
  Object.assign(S, { pool: name, data: null, all: { line: false, runs: false } });
  if (!S.chosen) S.minutes = 60;
  drawMinutes();
  closeRun(false);
  writeAddress(true);
  refresh();
}

function empty(title, words, ...lines) {
  $('pool').hidden = true;
  $('empty').hidden = false;
  $('empty').replaceChildren(h('h2', null, title), h('p', null, words), ...lines.map((line) => command(line)));
}

function problem(error) {
  const box = $('problem');
  box.hidden = !error;
  live(error);
  if (!error) return box.replaceChildren();
  if (!(error instanceof Problem)) {
    console.error(error);
    return box.replaceChildren(h('div', { class: 'problem' }, h('b', null, `The page has a fault: ${error.message}`)));
  }
  if (error.status === 401) {
    box.hidden = true;
    return empty('This page has no token.', 'Open it with the command, which hands the token over in the address; it stays in this tab.', 'push-dispatch dashboard');
  }
  if (error.reason === 'pool_not_found') {
    S.data = null;
    $('pool').hidden = true;
  }
  return box.replaceChildren(problemView(error));
}

function live(error) {
  const button = $('live');
  attr(button, 'aria-pressed', String(S.live));
  button.classList.toggle('stale', Boolean(error));
  text(button, error ? `no answer, again in ${Math.round(L.wait / 1000)} s` : S.live ? 'live' : 'paused');
}

// -- buttons and keys -------------------------------------------------------------------------

function setLive(on) {
  S.live = on;
  live();
  say(on ? 'Live again.' : 'Paused: nothing on this page moves.');
  if (on) refresh();
  else clearTimeout(L.timer);
}

function setTheme() {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.dataset.theme = dark ? 'light' : 'dark';
  localStorage.setItem('theme', document.documentElement.dataset.theme);
}

function setWhat() {
  if (!S.data) return;
  toggle();
  writeAddress();
  draw();
}

function drawMinutes() {
  keyed($('minutes'), MINUTES, ([n]) => n, ([n, name]) => h('button', { type: 'button', on: { click: () => { S.minutes = n; S.chosen = true; writeAddress(); drawMinutes(); refresh(); } } }, name), (el, [n]) => attr(el, 'aria-pressed', String(n === S.minutes)));
}

/** A run on this page by a part of its id, name or deployment; else the one with that id. */
function find(event) {
  event.preventDefault();
  const wanted = $('find-run').value.trim().replace(/^…/, '');
  if (!wanted || !S.data) return;
  const listed = [...S.data.holders, ...S.data.waiting, ...S.data.recent];
  const found = listed.find((run) => run.id === wanted || run.id.endsWith(wanted)) ?? listed.find((run) => label(run).includes(wanted));
  const [pool] = wanted.split('.');
  if (!found && wanted.includes('.') && pool !== S.pool && S.pools.some((each) => each.name === pool)) choose(pool);
  openRun(found?.id ?? wanted);
}

function step(by) {
  const runs = [...document.querySelectorAll('#slots [data-run], #line [data-run], #gantt [data-run]')];
  if (!runs.length) return;
  const here = runs.indexOf(document.activeElement);
  const next = runs[here < 0 ? (by > 0 ? 0 : runs.length - 1) : (here + by + runs.length) % runs.length];
  next.focus();
}

const KEYS = {
  j: () => step(1), k: () => step(-1), t: setTheme, w: setWhat, p: () => setLive(!S.live), '?': () => $('help').showModal(),
  '/': () => $('find-run').focus(), Escape: () => closeRun(),
};

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $('help').open) return;
  if (event.target.matches('input, select, textarea')) {
    if (event.key === 'Escape') event.target.blur();
    return;
  }
  const pool = /^[1-9]$/.test(event.key) && S.pools[event.key - 1];
  if (pool) return choose(pool.name);
  if (!KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
}

// -- start ------------------------------------------------------------------------------------

const theme = localStorage.getItem('theme');
if (theme) document.documentElement.dataset.theme = theme;
readAddress();
drawMinutes();
$('theme').addEventListener('click', setTheme);
$('live').addEventListener('click', () => setLive(!S.live));
$('help-open').addEventListener('click', () => $('help').showModal());
$('what-open').addEventListener('click', setWhat);
$('find').addEventListener('submit', find);
document.addEventListener('keydown', key);
document.addEventListener('redraw', draw);
document.addEventListener('refresh', refresh);
document.addEventListener('visibilitychange', () => { if (!document.hidden && S.live) refresh(); else clearTimeout(L.timer); });
addEventListener('popstate', () => {
  const pool = S.pool;
  readAddress();
  drawMinutes();
  S.pool ??= S.pools[0]?.name ?? null;
  if (S.pool !== pool) S.data = null;
  showRun();
  refresh();
});
new ResizeObserver(() => S.data && draw()).observe($('main'));
await refresh();
performance.mark('ready');
if (S.run) showRun();
if (S.pool) loadReasons().catch(problem);
