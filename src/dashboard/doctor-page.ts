import type { RequestHandler } from 'express';
import type { HttpDeps } from '../http/deps.ts';
import { listChecks } from '../http/health.ts';
import { findReason } from '../reconcile/checks/reasons.ts';
import type { InstallationCheck } from '../reconcile/checks/store.ts';
import { badge } from './design/badge.ts';
import { needBanner } from './design/banner.ts';
import { table } from './design/table.ts';
import { type Html, html } from './html.ts';
import { sendPage } from './requests.ts';
import { capitalized } from './words.ts';

/** Answers `/doctor`: every check that is repeated while the service runs, what is wrong first. */
export function showDoctor(deps: HttpDeps): RequestHandler {
  return async (_request, response) => {
    const main = doctorPage(await listChecks(deps));
    sendPage(response, deps, { title: 'Doctor', main, operator: true });
  };
}

export function doctorPage(checks: readonly InstallationCheck[]): Html {
  const wrong = checks.filter(({ ok }) => !ok);
  return html`<h1>Doctor</h1>
<div id="doctor" data-live>
<p>${wrong.length === 0 ? 'Every check passes.' : `${wrong.length} of ${checks.length} checks fail.`}
<span class="muted">They are repeated every minute, and every few seconds while one fails.
<code>npm run agents -- doctor</code> checks more: webhook, public address, policy, prices, the way to the database.</span></p>
${wrong.map(banner)}
${table({
  caption: 'Checks',
  columns: [
    { name: 'Check', cell: ({ name }) => name },
    { name: 'Result', cell: ({ ok, blocks }) => result(ok, blocks) },
    { name: 'Found', cell: ({ detail }) => detail },
    { name: 'Why it matters', cell: ({ name }) => findReason(name) ?? '' },
  ],
  rows: checks,
})}</div>`;
}

function banner({ name, detail, cure, blocks }: InstallationCheck): Html {
  return needBanner({
    id: `check-${name}`,
    title: `${blocks ? 'Orders are on hold until this is fixed: ' : ''}${capitalized(name)}`,
    cause: detail,
    cure: cure ?? '',
  });
}

function result(ok: boolean, blocks: boolean): Html {
  if (ok) return badge('ok', 'good', 'Passes');
  return blocks ? badge('blocking', 'bad', 'Orders wait') : badge('failing', 'bad', 'Fails');
}
