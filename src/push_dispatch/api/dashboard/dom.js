// Elements, times and requests: what every panel needs.
export const $ = (id) => document.getElementById(id);

/** An element. `class`, `style` (CSS properties), `on` (listeners); other properties are attributes. */
export function h(tag, props, ...kids) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'style') for (const [k, v] of Object.entries(value)) el.style.setProperty(k, v);
    else if (name === 'on') for (const [k, v] of Object.entries(value)) el.addEventListener(k, v);
    else el.setAttribute(name, value === true ? '' : value);
  }
  el.append(...kids.flat().filter((kid) => kid !== null && kid !== undefined && kid !== false));
  return el;
}

/** An element of SVG. */
export function svg(tag, attributes, ...kids) {
  const el = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes ?? {})) el.setAttribute(name, value);
  el.append(...kids);
  return el;
}

export function text(el, value) {
  if (el.textContent !== value) el.textContent = value;
}

export function attr(el, name, value) {
  if (value === null || value === false) el.removeAttribute(name);
  else if (el.getAttribute(name) !== String(value)) el.setAttribute(name, value);
}

const known = new WeakMap();

/** Make the children of `parent` those of `items`: what is still there stays, with its focus. */
export function keyed(parent, items, key, make, update) {
  const before = known.get(parent) ?? new Map();
  const after = new Map();
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  const wanted = items.map((item) => [String(key(item)), item]);
  const keep = new Set(wanted.map(([k]) => k));
  for (const [k, el] of before) if (!keep.has(k)) el.remove();
  let at = parent.firstElementChild;
  for (const [k, item] of wanted) {
    const el = before.get(k) ?? make(item);
    update?.(el, item);
    if (el === at) at = at.nextElementSibling;
    else parent.insertBefore(el, at);
    after.set(k, el);
  }
  known.set(parent, after);
  // Moving an element takes the focus from it.
  if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
}

/** A command to type, with a button that copies it. */
export function command(line) {
  const copy = h('button', { type: 'button', class: 'copy', 'aria-label': `Copy: ${line}`, title: 'Copy' }, 'copy');
  copy.addEventListener('click', async () => {
    await navigator.clipboard.writeText(line);
    say('Copied.');
  });
  return h('span', { class: 'cmd' }, h('code', null, line), copy);
}

/** Tell screen readers, and show for a moment. */
export function say(words) {
  text($('said'), words);
  $('said').classList.remove('hidden');
  clearTimeout(say.timer);
  say.timer = setTimeout(() => $('said').classList.add('hidden'), 4000);
}

// -- names and times --------------------------------------------------------------------------

export const tail = (id) => `…${id.slice(-6)}`;
export const label = (run) => run.name || run.deployment || tail(run.id);
export const ms = (iso) => (iso ? Date.parse(iso) : null);

/** Such as 0.4 s, 12 s, 4m 02s, 2h 05m, 3d 4h. */
export function span(milliseconds) {
  const s = Math.max(0, milliseconds) / 1000;
  if (s < 9.95) return `${s < 0.95 ? s.toFixed(1) : Math.round(s)} s`;
  if (s < 59.5) return `${Math.round(s)} s`;
  const two = (n) => String(Math.floor(n)).padStart(2, '0');
  if (s < 3600) return `${Math.floor(s / 60)}m ${two(s % 60)}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${two((s % 3600) / 60)}m`;
  return `${Math.floor(s / 86400)}d ${Math.floor((s % 86400) / 3600)}h`;
}

/** For charts and lists, where the second parts are noise. */
export function rough(milliseconds) {
  const s = Math.max(0, milliseconds) / 1000;
  if (s < 59.5) return `${Math.round(s)} s`;
  if (s < 3570) return `${Math.round(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${String(Math.floor((s % 3600) / 60)).padStart(2, '0')}m`;
  return `${Math.floor(s / 86400)}d ${Math.floor((s % 86400) / 3600)}h`;
}

export function clock(at, seconds = false) {
  const options = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
  if (seconds) options.second = '2-digit';
  return new Date(at).toLocaleTimeString([], options);
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

/** Round times between two, at most `most` of them. */
export function ticks(from, to, most) {
  const step = 1000 * (STEPS.find((s) => (to - from) / 1000 / s <= most) ?? 86400);
  const zone = new Date(to).getTimezoneOffset() * 60000;
  const found = [];
  for (let t = Math.ceil((from - zone) / step) * step + zone; t <= to; t += step) found.push(t);
  return { times: found, seconds: step < 60000 };
}

// -- requests ---------------------------------------------------------------------------------

/** What went wrong: `reason`, `detail`, `remedy`, as the API says it. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? body.title ?? 'The request failed.');
    Object.assign(this, { status, reason: body.reason ?? '', title: body.title ?? '', remedy: body.remedy ?? '' });
  }
}

/** The token comes behind the `#` of the address, which no server sees; it stays in this tab. */
function token() {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (given) {
    sessionStorage.setItem('token', given);
    history.replaceState(null, '', location.pathname + location.search);
  }
  return sessionStorage.getItem('token');
}
const bearer = token();

export async function api(method, path, { body, headers, signal } = {}) {
  const sent = { Authorization: `Bearer ${bearer ?? ''}`, ...headers };
  if (body !== undefined) sent['Content-Type'] = 'application/json';
  let reply;
  try {
    reply = await fetch(`/v1${path}`, { method, headers: sent, body: body === undefined ? undefined : JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem(0, {
      title: 'No answer.',
      detail: `${location.host} does not answer.`,
      reason: 'backend_unavailable',
      remedy: 'Start it again: push-dispatch local up, or push-dispatch dashboard for a deployed system.',
    });
  }
  const value = reply.status === 204 ? null : await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Problem(reply.status, value ?? {});
  return value;
}

export const at = (...parts) => parts.map((part) => `/${encodeURIComponent(part)}`).join('');

/** A problem as something to read: what, why, and what to do. */
export function problemView(problem) {
  return h('div', { class: 'problem' },
    h('b', null, problem.message), ' ',
    problem.reason && h('code', null, problem.reason),
    problem.remedy && h('div', { class: 'remedy' }, problem.remedy));
}
