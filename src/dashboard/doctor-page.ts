import type { RequestHandler } from 'express';
import type { HttpDeps } from '../http/deps.ts';
import { listChecks } from '../http/health.ts';
import { listProjects, type ProjectState } from '../projects/projects.ts';
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
    const [checks, projects] = await Promise.all([listChecks(deps), listProjects(deps.database)]);
    const main = doctorPage(checks, projects);
    sendPage(response, deps, { title: 'Doctor', main, operator: true });
  };
}

export function doctorPage(
  checks: readonly InstallationCheck[],
  projects: readonly ProjectState[] = [],
): Html {
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
})}
${projects.length > 1 && projectTable(projects)}</div>`;
}

/** Where agents are placed; with one project there is nothing to choose. */
function projectTable(projects: readonly ProjectState[]): Html {
  return html`<h2>Hetzner projects</h2>
${table({
  caption: 'Hetzner projects',
  columns: [
    { name: 'Project', cell: ({ name }) => name },
    { name: 'State', cell: projectState },
    { name: 'Locations', cell: ({ locations }) => locations?.join(', ') ?? 'all' },
    { name: 'Agents', cell: ({ agents }) => String(agents) },
    { name: 'Waiting servers', cell: ({ slots }) => String(slots) },
    { name: 'Snapshots', cell: ({ snapshots }) => String(snapshots) },
    { name: 'Restore drills', cell: ({ drills }) => String(drills) },
    {
      name: 'Servers',
      cell: ({ servers, mostServers }) =>
        mostServers === null ? String(servers) : `${servers} of ${mostServers}`,
    },
  ],
  rows: projects,
})}
<p class="muted"><code>npm run agents -- projects drain PROJECT</code> lets nothing new come into one.</p>`;
}

function projectState({ configured, drainingSince, drainedBy, fullUntil }: ProjectState): Html {
  if (!configured) return badge('not-configured', 'bad', 'Not configured');
  if (drainingSince !== null) return badge('draining', 'plain', `Drained by ${drainedBy}`);
  return fullUntil === null ? badge('open', 'good', 'Open') : badge('full', 'bad', 'Full at Hetzner');
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
