import type { AgentJson } from '../../http/agents/agent-json.ts';
import type { Consoles } from '../../http/deps.ts';
import { copyable } from '../design/copy.ts';
import { when } from '../design/when.ts';
import { type Html, html, type Renderable } from '../html.ts';

/**
 * Renders who and what the agent is, each with a button that copies it, and links to the clouds' consoles.
 */
export function identitySection(agent: AgentJson, consoles: Consoles | undefined): Html {
  const rows: [name: string, value: Renderable][] = [
    ['Buyer', copied(agent.userId, 'the buyer')],
    ['Plan', planText(agent)],
    ['Region', `${agent.region} (${agent.location})`],
    ['Server', agent.serverName && html`${copyable(agent.serverName, 'the server’s name')}`],
    ['Server id', copied(agent.serverId, 'the server’s id')],
    ['IPv4', copied(agent.ipv4, 'the IPv4 address')],
    ['IPv6', copied(agent.ipv6, 'the IPv6 address')],
    ['Tailnet address', copied(agent.tailnetIp, 'the tailnet address')],
    ['Tailnet name', copied(agent.tailnetName, 'the tailnet name')],
    ['Stack', copied(agent.stackName, 'the stack’s name')],
    ['Subscription', copied(agent.subscriptionId, 'the subscription')],
    ['Ordered', when(agent.createdAt)],
  ];
  return html`<h2>Identity</h2>
<dl>${rows.filter(([, value]) => Boolean(value)).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
${consoles !== undefined && consoleLinks(agent, consoles)}`;
}

const copied = (text: string | null, what: string) => text !== null && copyable(text, what);

function planText({ plan, planChosenAt }: AgentJson): Renderable {
  if (planChosenAt === null) return plan;
  return html`${plan}, chosen by a person ${when(planChosenAt)}: it stays until its price changes`;
}

function consoleLinks({ project, serverId, tailnetIp }: AgentJson, consoles: Consoles): Html | undefined {
  const { hetznerProjectIds, hasTailscale } = consoles;
  const projectId = hetznerProjectIds[project];
  const server =
    serverId !== null && projectId !== undefined
      ? `https://console.hetzner.com/projects/${projectId}/servers/${serverId}/overview`
      : undefined;
  const device =
    tailnetIp !== null && hasTailscale
      ? `https://login.tailscale.com/admin/machines/${tailnetIp}`
      : undefined;
  if (server === undefined && device === undefined) return undefined;
  return html`<p class="actions">${server !== undefined && html`<a class="button" href="${server}" rel="noreferrer">Server in Hetzner’s console</a>`}
${device !== undefined && html`<a class="button" href="${device}" rel="noreferrer">Device in Tailscale’s console</a>`}</p>`;
}
