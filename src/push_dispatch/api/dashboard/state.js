// What is shown: in the address, so that it can be shared, bookmarked and gone back to.
export const S = {
  pool: null, run: null, tab: 'history', what: false, minutes: 60,
  /** Whether the minutes were chosen: else they fit what there is. */
  chosen: false,
  /** The last overview, and when it came. */
  data: null, got: 0,
  pools: [], reasons: new Map(),
  live: true, all: { line: false, runs: false },
};

export function readAddress() {
  const query = new URLSearchParams(location.search);
  S.pool = query.get('pool');
  S.run = query.get('run');
  S.tab = query.get('tab') ?? 'history';
  S.what = query.get('whatif') === '1';
  S.minutes = Number(query.get('minutes')) || 60;
  S.chosen = query.has('minutes');
}

export function writeAddress(push = false) {
  const query = new URLSearchParams();
  if (S.pool) query.set('pool', S.pool);
  if (S.run) query.set('run', S.run);
  if (S.run && S.tab !== 'history') query.set('tab', S.tab);
  if (S.what) query.set('whatif', '1');
  if (S.chosen && S.minutes !== 60) query.set('minutes', S.minutes);
  const url = `${location.pathname}?${query}`;
  if (url === location.pathname + location.search) return;
  history[push ? 'pushState' : 'replaceState'](null, '', url);
}

/** The server's time now: its clock may be another one than the browser's. */
export const now = () => Date.parse(S.data.time) + (performance.now() - S.got);

/** The class of a queue's colour: by its name, so that another priority leaves it as it is. */
export function color(queue) {
  const place = S.data.queues.map((q) => q.name).sort().indexOf(queue);
  return `c${place < 0 ? 7 : place % 7}`;
}
