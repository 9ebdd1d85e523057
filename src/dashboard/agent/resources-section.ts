import type { StackResources } from '../../agents/stack-resources.ts';
import type { AgentJson } from '../../http/agents/agent-json.ts';
import { badge } from '../design/badge.ts';
import { copyable } from '../design/copy.ts';
import { when } from '../design/when.ts';
import { type Html, html } from '../html.ts';

/** Renders the resources of the agent's stack, and what differs between them and the clouds. */
export function resourcesSection(agent: AgentJson, found: StackResources | undefined): Html {
  return html`<h2>Resources</h2>
${found === undefined ? nothingYet(agent) : foundTable(found)}`;
}

function nothingYet({ status }: AgentJson): Html {
  return html`<p class="muted">${
    status === 'destroyed'
      ? 'Everything of it is gone.'
      : 'Nothing has been recorded yet. Press Refresh to read its resources from the clouds and compare them with its stack.'
  }</p>`;
}

function foundTable(found: StackResources): Html {
  const { resources, at, operationId } = found;
  if (resources.length === 0)
    return html`<p class="muted">The stack has no resources any more: <a href="/operations/${operationId}">they were removed</a> ${when(at.toISOString())}.</p>`;
  const changed = resources.filter(({ drift }) => drift.length > 0);
  return html`<p class="muted">${summary(found)}</p>
<table><caption class="visually-hidden">Resources of the stack</caption>
<thead><tr><th scope="col">Name</th><th scope="col">Type</th><th scope="col">Id</th><th scope="col">State</th></tr></thead>
<tbody>${resources.map(
    (resource) => html`<tr><th scope="row">${resource.name}</th>
<td data-label="Type">${shortType(resource.type)}</td><td data-label="Id">${resource.id === null ? '–' : copyable(resource.id, `the id of ${resource.name}`)}</td>
<td data-label="State">${stateBadge(resource, found)}</td></tr>`,
  )}</tbody></table>
${changed.map(({ name, drift }) => driftTable(name, drift))}`;
}

/** When the resources were looked at, and whether any of them differed. */
function summary({ resources, verb, kind, at, operationId }: StackResources): Html {
  const source = html`<a href="/operations/${operationId}">${kind === 'refresh' ? 'compared with the clouds' : `as its ${kind} left them`}</a> ${when(at.toISOString())}`;
  const differing = resources.filter(({ drift, isGone }) => isGone || drift.length > 0).length;
  const verdict =
    verb !== 'refresh' || kind !== 'refresh'
      ? 'Press Refresh to look for what has changed since.'
      : differing === 0
        ? 'Nothing differed.'
        : `${differing} differed; the stack knows it now.`;
  return html`${resources.length} in the stack, ${source}. ${verdict}`;
}

function stateBadge({ isGone, drift }: StackResources['resources'][number], { kind }: StackResources): Html {
  if (isGone) return badge('gone', 'bad', 'Gone');
  if (drift.length === 0) return badge('same', 'good', 'As in the stack');
  const count = drift.length === 1 ? '1 property' : `${drift.length} properties`;
  return kind === 'refresh'
    ? badge('drift', 'bad', `${count} changed`)
    : badge('drift', 'plain', `${count} changed by the ${kind}`);
}

/** `hcloud:index/server:Server` → `hcloud Server` */
const shortType = (type: string) => `${type.split(':')[0]} ${type.split(':').at(-1)}`;

function driftTable(name: string, drift: StackResources['resources'][number]['drift']): Html {
  return html`<h3>What has changed on ${name}</h3>
<table><caption class="visually-hidden">Properties of ${name} that differ</caption>
<thead><tr><th scope="col">Property</th><th scope="col">Before</th><th scope="col">Now</th></tr></thead>
<tbody>${drift.map(
    ({ property, before, now }) =>
      html`<tr><th scope="row"><code>${property}</code></th><td data-label="Before">${before ?? '–'}</td><td data-label="Now">${now ?? '–'}</td></tr>`,
  )}</tbody></table>`;
}
