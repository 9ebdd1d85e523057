import type { FleetCounts } from '../../agents/fleet.ts';
import type { Role } from '../../database/vocabulary.ts';
import type { AgentJson } from '../../http/agents/agent-json.ts';
import type { HttpDeps } from '../../http/deps.ts';
import { agentsTable } from '../agents/agents-table.ts';
import { emptyState } from '../design/banner.ts';
import { tiles } from '../design/tiles.ts';
import { type Html, html } from '../html.ts';
import { type Figures, figuresSection } from './figures.ts';
import { type Needs, needsSection } from './needs.ts';
import { queueSection, type Waiting } from './queue.ts';

export interface OverviewPage {
  needs: Needs;
  fleet: FleetCounts;
  figures: Figures;
  waiting: Waiting;
  /** The newest agents. */
  agents: readonly AgentJson[];
  checkoutUrl?: string | undefined;
  /** Missing API keys, and what the service does not sweep without them. */
  missingKeys?: readonly string[] | undefined;
  watched?: HttpDeps['watched'];
  /** Whose page it is. */
  role: Role;
}

/**
 * Renders `/`: what needs a person, the fleet in numbers, the last day in figures, the queue, the newest
 * agents.
 */
export function overviewPage(page: OverviewPage): Html {
  const { needs, fleet, figures, waiting, agents, checkoutUrl, role } = page;
  const buy =
    checkoutUrl !== undefined &&
    html`<a class="button" href="${checkoutUrl}">Buy one in the sandbox’s checkout</a>`;
  return html`<div class="title"><h1>Overview</h1>${buy}</div>
${monitoringNotice(page)}
<div id="needs" data-live>${needsSection(needs, { isEmptyFleet: agents.length === 0, role })}</div>
<div id="fleet" data-live><h2>Fleet</h2>${fleetTiles(fleet)}</div>
<div id="queue" data-live>${queueSection(waiting, figures.workforce)}</div>
<div id="figures" data-live>${figuresSection(figures)}</div>
<div id="agents" data-live><h2>Newest agents</h2>
${agents.length === 0 ? emptyState('No agents yet.', 'A paid checkout makes one, and so does npm run agents -- create.', buy) : agentsTable(agents, { role })}
${agents.length > 0 && html`<p><a href="/agents">All agents</a></p>`}</div>`;
}

/** Says what is not monitored for want of keys: everything, or some of several Hetzner projects. */
export function monitoringNotice({
  missingKeys = [],
  watched,
}: Pick<OverviewPage, 'missingKeys' | 'watched'>): Html | false {
  if (missingKeys.length === 0) return false;
  const without = `Without ${missingKeys.join(' and ')},`;
  const projects = watched?.projects ?? [];
  const left = projects.filter(({ isSwept }) => !isSwept).map(({ project }) => project);
  if (left.length < projects.length)
    return html`<p class="notice"><strong>${left.length === 1 ? 'A Hetzner project is' : 'Hetzner projects are'} not
    monitored: ${left.join(', ')}.</strong> ${without} orphaned resources are not removed there.</p>`;
  const health = watched?.health === true ? '' : ', and agents’ health is not checked between operations';
  return html`<p class="notice"><strong>The clouds are not monitored.</strong> ${without} orphaned
    resources are not removed${health}.</p>`;
}

const SHOWN = [
  'running',
  'requested',
  'provisioning',
  'stopped',
  'suspended',
  'hibernated',
  'failed',
  'destroying',
] as const;

function fleetTiles({ byStatus, unhealthy, held, present }: FleetCounts): Html {
  return tiles([
    { name: 'present', text: 'All', tone: 'plain', count: present, href: '/agents?status=present' },
    ...SHOWN.map((status) => ({
      name: status,
      count: byStatus.get(status) ?? 0,
      href: `/agents?status=${status}`,
    })),
    { name: 'unhealthy', count: unhealthy, href: '/agents?health=unhealthy' },
    { name: 'held', tone: 'bad', count: held, href: '/agents?held=yes' },
  ]);
}
