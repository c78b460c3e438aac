// One run: why it is where it is, what has happened, what was sent, what it has written.
import { $, api, at, attr, clock, command, h, keyed, ms, problemView, say, span, tail, text } from './dom.js';
import { S, writeAddress } from './state.js';
import { MARKS } from './panels.js';

const TABS = [['history', 'History'], ['request', 'Request'], ['logs', 'Logs']];
const ENDED = new Set(Object.keys(MARKS));
const D = { id: null, run: null, log: null, back: null, asked: 0, rendered: null };

const path = (...more) => at('pools', S.pool, 'runs', D.id, ...more);

export function openRun(id, tab = 'history') {
  if (!D.id) D.back = document.activeElement;
  S.run = id;
  S.tab = TABS.some(([name]) => name === tab) ? tab : 'history';
  writeAddress(true);
  show();
  $('drawer').focus({ preventScroll: true });
}

export function closeRun(push = true) {
  if (!D.id) return;
  S.run = null;
  if (push) writeAddress(true);
  show();
  const row = D.back?.isConnected ? D.back : document.querySelector(`[data-run="${CSS.escape(D.before ?? '')}"]`);
  row?.focus({ preventScroll: true });
}

/** Make the drawer what the address says. */
export function show() {
  const drawer = $('drawer');
  drawer.hidden = !S.run;
  document.body.classList.toggle('with-drawer', Boolean(S.run));
  if (!S.run) {
    Object.assign(D, { before: D.id, id: null, run: null });
    drawer.replaceChildren();
    document.dispatchEvent(new Event('redraw'));
    return;
  }
  if (D.id !== S.run) {
    Object.assign(D, { id: S.run, run: null, rendered: null, log: null });
    build();
  }
  select(S.tab);
  refresh();
  document.dispatchEvent(new Event('redraw'));
}

function build() {
  const close = h('button', { type: 'button', class: 'btn', 'aria-label': 'Close', title: 'Close (Esc)', on: { click: () => closeRun() } }, '✕');
  const tabs = TABS.map(([name, title]) => h('button', {
    type: 'button', role: 'tab', id: `tab-${name}`, 'aria-controls': 'd-body',
    on: { click: () => { S.tab = name; writeAddress(); select(name); refresh(); }, keydown: arrows },
  }, title));
  $('drawer').replaceChildren(
    h('div', { class: 'top' }, h('div', null, h('h2', { id: 'd-name' }, tail(D.id)), h('div', { class: 'mut', id: 'd-sub' })), close),
    command(D.id),
    h('div', { id: 'd-why' }),
    h('div', { id: 'd-act', class: 'actions' }),
    h('div', { role: 'tablist', 'aria-label': 'About the run', class: 'tabs' }, ...tabs),
    h('div', { id: 'd-body', role: 'tabpanel', tabindex: '0' }));
}

function arrows(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const place = TABS.findIndex(([name]) => name === S.tab);
  const next = $(`tab-${TABS[(place + step + TABS.length) % TABS.length][0]}`);
  next.focus();
  next.click();
}

function select(tab) {
  for (const [name] of TABS) {
    attr($(`tab-${name}`), 'aria-selected', String(name === tab));
    attr($(`tab-${name}`), 'tabindex', name === tab ? '0' : '-1');
  }
  attr($('d-body'), 'aria-labelledby', `tab-${tab}`);
  if ($('d-body').dataset.tab !== tab) {
    $('d-body').dataset.tab = tab;
    $('d-body').replaceChildren(h('p', { class: 'mut' }, '…'));
    D.log = null;
  }
}

/** With each refresh of the page, as long as there may be news. */
export async function refresh(force = true) {
  if (!D.id || (!force && D.run && ENDED.has(D.run.state) && (S.tab !== 'logs' || D.log?.complete))) return;
  const id = D.id;
  try {
    const run = await api('GET', path());
    const why = ENDED.has(run.state) ? null : await api('GET', path('explain'));
    if (id !== D.id) return;
    D.run = run;
    head(run);
    reason(run, why);
    actions(run);
    await BODIES[S.tab](id);
  } catch (problem) {
    if (id === D.id) $(D.run ? 'd-body' : 'd-why').replaceChildren(problemView(problem));
  }
}

function head(run) {
  text($('d-name'), run.name || run.deployment || tail(run.id));
  const attempts = run.attempts.length > 1 ? ` · attempt ${run.attempts.at(-1).number}` : '';
  text($('d-sub'), `${MARKS[run.state] ? `${MARKS[run.state]} ` : ''}${run.state} · ${run.queue}${run.deployment ? ` · ${run.deployment}` : ''}${attempts}`);
}

function reason(run, why) {
  if (why) {
    const start = why.estimated_start ? ` Expected to start ${clock(why.estimated_start, true)}.` : '';
    const ahead = why.ahead ? ` ${why.ahead} ahead.` : '';
    const next = why.next_try_at ? ` Next try ${clock(why.next_try_at, true)}.` : '';
    $('d-why').replaceChildren(h('p', null, why.sentence + ahead + start + next, ' ', h('code', null, why.reason)), why.message && h('p', { class: 'mut' }, why.message) || '', h('p', { class: 'remedy' }, why.remedy));
    return;
  }
  const about = S.reasons.get(run.reason);
  const parts = [about && h('p', null, about.sentence, ' ', h('code', null, run.reason)), run.message && h('p', { class: 'mut' }, run.message), about?.remedy && run.state !== 'COMPLETED' && h('p', { class: 'remedy' }, about.remedy)];
  $('d-why').replaceChildren(...parts.filter(Boolean));
}

// -- cancel and retry -------------------------------------------------------------------------

function actions(run) {
  const over = ENDED.has(run.state);
  const kind = over ? 'retry' : run.state === 'CANCELLING' ? '' : 'cancel';
  if ($('d-act').dataset.kind === `${kind} ${run.id}`) return;
  $('d-act').dataset.kind = `${kind} ${run.id}`;
  if (!kind) return $('d-act').replaceChildren(h('span', { class: 'mut' }, 'It is being stopped, and keeps its slot until then.'));
  const button = h('button', { type: 'button', class: 'btn', id: `d-${kind}` }, kind === 'retry' ? 'Retry' : 'Cancel…');
  button.addEventListener('click', () => (kind === 'retry' ? retry(button) : confirm(run)));
  return $('d-act').replaceChildren(button, command(`push-dispatch run ${kind} ${run.id}`));
}

/** Stopping cannot be undone: the button asks once more, in its place. */
function confirm(run) {
  const yes = h('button', { type: 'button', class: 'btn danger', id: 'd-yes' }, run.attempts.length ? 'Stop it' : 'Take it out of the line');
  const no = h('button', { type: 'button', class: 'btn' }, 'Leave it');
  yes.addEventListener('click', () => act(yes, 'cancel', () => say('Cancelled.')));
  no.addEventListener('click', () => { $('d-act').dataset.kind = ''; actions(D.run); $('d-cancel')?.focus(); });
  $('d-act').replaceChildren(yes, no);
  yes.focus();
}

const retry = (button) => act(button, 'retry', (done) => {
  say(done.created ? 'Submitted once more: this is the new run.' : 'It was retried before: this is the new run.');
  openRun(done.run.id);
});

async function act(button, verb, then) {
  attr(button, 'disabled', true);
  try {
    const done = await api('POST', path(verb));
    then(done);
    $('d-act').dataset.kind = '';
    refresh();
    $('drawer').focus({ preventScroll: true });
    document.dispatchEvent(new Event('refresh'));
  } catch (problem) {
    $('d-act').dataset.kind = '';
    $('d-act').replaceChildren(problemView(problem));
  }
}

// -- tabs -------------------------------------------------------------------------------------

const BODIES = { history, request, logs };

async function history(id) {
  const { items } = await api('GET', path('events'));
  if (id !== D.id || S.tab !== 'history') return;
  const body = $('d-body');
  if (!body.querySelector('ol')) body.replaceChildren(h('ol', { class: 'events' }));
  const listed = items.map((event, n) => ({ ...event, n, before: n ? ms(event.time) - ms(items[n - 1].time) : 0 }));
  keyed(body.firstChild, listed, (event) => `${event.n}${event.event}`, (event) => h('li', null,
    h('time', { datetime: event.time }, clock(event.time, true)),
    h('span', null, h('b', null, event.event), event.attempt && D.run.attempts.length > 1 ? ` · attempt ${event.attempt}` : '',
      event.reason && h('span', null, ' ', h('code', null, event.reason)), event.message && h('div', { class: 'mut' }, event.message)),
    h('span', { class: 'mut' }, event.before > 50 ? `+${span(event.before)}` : '')));
}

/** What was sent to the platform, with where each value comes from. */
async function request(id) {
  D.rendered ??= await api('GET', path('render'));
  if (id !== D.id || S.tab !== 'request' || $('d-body').querySelector('dl')) return;
  const { configuration, provenance, secrets, platform, type } = D.rendered;
  const rows = [...leaves(configuration, '')].flatMap(([name, value]) => [
    h('dt', null, name), h('dd', null, h('code', null, typeof value === 'string' ? value : JSON.stringify(value)), h('small', null, provenance[name] ?? ''))]);
  for (const [name, secret] of Object.entries(secrets)) rows.push(h('dt', null, `env.${name}`), h('dd', null, h('code', null, `secret ${secret}`), h('small', null, 'filled in by the platform')));
  $('d-body').replaceChildren(
    h('p', { class: 'mut' }, D.run.attempts.length ? 'Sent to ' : 'Will be sent to ', h('b', null, platform), type === platform ? '' : ` (${type})`, '; beside each value, whose it is.'),
    h('dl', { class: 'request' }, ...rows));
}

function* leaves(value, name) {
  if (value && typeof value === 'object' && Object.keys(value).length) {
    for (const [key, inner] of Object.entries(value)) yield* leaves(inner, Array.isArray(value) ? `${name}[${key}]` : name ? `${name}.${key}` : key);
  } else yield [name, value];
}

const KEPT = 5000;

/** The log from where it was left; it follows while its end is in view. */
async function logs(id) {
  D.log ??= { after: 0, complete: false };
  const part = D.log.complete ? null : await api('GET', `${path('logs')}?limit=2000&after=${D.log.after}`);
  if (id !== D.id || S.tab !== 'logs' || !part) return;
  const body = $('d-body');
  if (!body.querySelector('pre')) body.replaceChildren(h('pre', { class: 'log' }), h('p', { class: 'mut' }));
  const [pre, note] = body.children;
  const following = body.scrollHeight - body.scrollTop - body.clientHeight < 40;
  for (const one of part.lines) pre.append(`${one}\n`);
  while (pre.childNodes.length > KEPT) pre.firstChild.remove();
  Object.assign(D.log, { after: part.after, complete: part.complete });
  pre.hidden = !pre.firstChild;
  const nothing = D.run.attempts.length ? 'It has written nothing.' : 'It has not started: there is no log yet.';
  note.replaceChildren(pre.firstChild ? (part.complete ? 'That is all.' : 'Following …') : nothing, ' ', command(`push-dispatch run logs ${D.id}`));
  if (following) body.scrollTop = body.scrollHeight;
  if (part.lines.length === 2000) await logs(id);
}
