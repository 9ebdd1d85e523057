import { z } from 'zod';
import type { AgentSnapshotRow } from '../agents/snapshots.ts';
import type { AgentJson } from '../http/agents/agent-json.ts';
import type { Requestable } from '../operations/registry.ts';
import { SNAPSHOT_REASONS } from './agent/snapshots-section.ts';
import { exactTime } from './design/when.ts';
import { type Html, html } from './html.ts';
import { agentCrumb, agentState } from './parts.ts';
import { capitalized } from './words.ts';

/**
 * Renders `/agents/{agentId}/{kind}`: says what will happen, with a form for the operation's parameters.
 * `snapshots`: those that can be chosen, for an operation that needs one.
 */
export function confirmPage(
  agent: AgentJson,
  { kind, confirm, cli, parameters }: Requestable,
  snapshots: readonly AgentSnapshotRow[] = [],
): Html {
  const verb = capitalized(kind);
  const { agentId } = agent;
  const isFinal = confirm !== undefined;
  return html`${agentCrumb(agentId)}<h1>${verb} ${agentId}?</h1>
<p>${agentState(agent)}</p>
<p>${isFinal ? confirm.explain(agentId) : `${capitalized(cli)}.`}</p>
<form class="fields" method="post" action="/agents/${agentId}/${kind}">
${Object.entries(parameters?.shape ?? {}).map(([name, schema]) =>
  name === 'snapshot' && snapshots.length > 0 ? snapshotField(snapshots) : field(name, schema),
)}
<div class="actions"><button class="${isFinal ? 'danger' : 'primary'}">${verb} ${agentId}</button>
<a class="button" href="/agents/${agentId}">Cancel</a></div>
</form>`;
}

/** Renders a select for an enum, and a text input for anything else. */
function field(name: string, schema: z.core.$ZodType): Html {
  const input =
    schema instanceof z.ZodEnum
      ? html`<select name="${name}">${schema.options.map((value) => html`<option>${String(value)}</option>`)}</select>`
      : html`<input name="${name}" required>`;
  return html`<label>${capitalized(name)} ${input}</label>`;
}

function snapshotField(snapshots: readonly AgentSnapshotRow[]): Html {
  return html`<label>Snapshot <select name="snapshot">${snapshots.map(
    (one) => html`<option value="${one.snapshot_id}">${snapshotText(one)}</option>`,
  )}</select></label>`;
}

const snapshotText = ({ made_at: madeAt, why, size_gb: gb }: AgentSnapshotRow): string =>
  [
    exactTime(madeAt.toISOString()),
    SNAPSHOT_REASONS[why],
    ...(gb === null ? [] : [`${gb.toFixed(2)} GB`]),
  ].join(', ');
