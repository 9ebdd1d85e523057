import type { AgentSnapshotRow } from '../../agents/snapshots.ts';
import type { Role } from '../../database/vocabulary.ts';
import type { AgentJson } from '../../http/agents/agent-json.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { whyNotNow } from '../../operations/refusals.ts';
import { leastRoleFor, requestableOperations } from '../../operations/registry.ts';
import type { Retryable } from '../../operations/retry-latest.ts';
import { hasRole } from '../../people/roles.ts';
import { whyNotHeld } from '../holds.ts';
import { type Html, html, type Renderable } from '../html.ts';
import { actionButton } from '../parts.ts';
import { retryButton } from '../retry-button.ts';
import { capitalized } from '../words.ts';

export interface Actions {
  agent: AgentJson;
  /** Its newest operation, if that has failed and may be retried with one click. */
  retryable: Retryable | undefined;
  unfinished: readonly OperationRow[];
  snapshots: readonly AgentSnapshotRow[];
  /** Its server was made by hand, and is being given back. */
  isGivenBack: boolean;
  /** Whose page it is. */
  role: Role;
}

interface Choice {
  verb: string;
  control: Renderable;
  text: string;
  /** Why it is not possible now. */
  why: string | undefined;
}

const ANY_MORE = 'Nothing can be done to it any more.';
const NOTHING: Record<Role, string> = {
  viewer: 'Your role reads.',
  support: 'Your role can do nothing to it now.',
  operator: ANY_MORE,
  admin: ANY_MORE,
};

/** Renders everything that can be done to an agent: what it does, or why it is not possible now. */
export function actionsSection(actions: Actions): Html {
  const { retryable, role } = actions;
  const choices = [...operationChoices(actions), ...holdChoices(actions), ...giveBackChoices(actions)];
  const possible = choices.filter(({ why }) => why === undefined);
  const impossible = choices.filter(({ why }) => why !== undefined);
  return html`<h2>Actions</h2>
${possible.length === 0 && html`<p class="muted">${NOTHING[role]}</p>`}
<ul class="choices">${retryable !== undefined && hasRole(role, 'operator') && item(retryButton(retryable), `Gives the ${retryable.kind} that has failed its next try.`)}
${possible.map(({ control, text }) => item(control, text))}</ul>
${
  impossible.length > 0 &&
  html`<details id="impossible"><summary>Not possible now: ${impossible.map(({ verb }) => verb).join(', ')}</summary>
<ul class="choices">${impossible.map(({ verb, text, why }) => item(disabled(verb), html`${text} <strong>${why}</strong>`))}</ul></details>`
}`;
}

function item(control: Renderable, text: Renderable): Html {
  return html`<li>${control}<span class="text">${text}</span></li>
`;
}

function disabled(verb: string): Html {
  return html`<button type="button" disabled>${capitalized(verb)}</button>`;
}

const whyNotYours = (role: Role, least: Role) =>
  hasRole(role, least) ? undefined : `It needs the role ${least}.`;

function operationChoices({ agent, unfinished, snapshots, role }: Actions): Choice[] {
  return requestableOperations().map((operation) => ({
    verb: operation.kind,
    control: actionButton(agent.agentId, operation),
    text: `${capitalized(operation.cli)}.`,
    why:
      whyNotYours(role, leastRoleFor(operation)) ?? whyNotNow(operation, { ...agent, unfinished, snapshots }),
  }));
}

function holdChoices({ agent, role }: Actions): Choice[] {
  const { agentId, protected: isProtected } = agent;
  const why = whyNotYours(role, 'operator') ?? whyNotHeld(agent);
  const name = html`<span class="visually-hidden"> ${agentId}</span>`;
  const verb = isProtected ? 'unprotect' : 'protect';
  return [
    {
      verb: 'hold',
      control: html`<a class="button" id="hold-${agentId}" href="/agents/${agentId}/hold">Hold${name}</a>`,
      text: 'Switches its server off with everything kept, until a person releases it.',
      why,
    },
    {
      verb,
      control: html`<form method="post" action="/agents/${agentId}/${verb}"><button id="${verb}-${agentId}">${capitalized(verb)}${name}</button></form>`,
      text: isProtected
        ? 'Allows it to be destroyed again.'
        : 'Keeps everybody from destroying it, the service included.',
      why,
    },
  ];
}

/** Only agents that were to run on a server made by hand ever have it. */
function giveBackChoices({ agent: { agentId }, isGivenBack, role }: Actions): Choice[] {
  if (!isGivenBack) return [];
  const name = html`<span class="visually-hidden"> the server of ${agentId}</span>`;
  return [
    {
      verb: 'abandon',
      control: html`<a class="button" id="abandon-${agentId}" href="/agents/${agentId}/abandon">Abandon${name}</a>`,
      text: 'Gives up what could not be undone on the server that it was to adopt.',
      why: whyNotYours(role, 'admin'),
    },
  ];
}
