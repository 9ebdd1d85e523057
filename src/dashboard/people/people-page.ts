import { ROLES, type Role } from '../../database/vocabulary.ts';
import type { Principal } from '../../http/principal.ts';
import type { PersonRow } from '../../people/people.ts';
import type { SessionRow } from '../../people/session-list.ts';
import type { TokenRow } from '../../people/tokens.ts';
import { badge } from '../design/badge.ts';
import { emptyState } from '../design/banner.ts';
import { table } from '../design/table.ts';
import { when } from '../design/when.ts';
import { type Html, html } from '../html.ts';
import { sessionsSection } from './sessions-section.ts';
import { tokensSection } from './tokens-section.ts';

export interface PeoplePage {
  sender: Principal;
  /** Everybody, for an admin; undefined for others, who see what is their own. */
  people: readonly PersonRow[] | undefined;
  tokens: readonly TokenRow[];
  sessions: readonly SessionRow[];
}

/** What each role may do, in few words. */
export const ROLE_WORDS: Record<Role, string> = {
  viewer: 'reads everything',
  support: 'also restarts agents',
  operator: 'does everything to agents',
  admin: 'also has people and tokens',
};

/** Renders `/people`: who may sign in, their tokens and sessions; for others than admins, their own. */
export function peoplePage({ sender, people, tokens, sessions }: PeoplePage): Html {
  return html`<h1>${people === undefined ? 'You' : 'People'}</h1>
<p>You are <strong>${sender.name}</strong> ${badge(sender.role, 'plain')}</p>
${people !== undefined && peopleSection(people, sender)}
${tokensSection(tokens, people)}
${sessionsSection(sessions, sender)}`;
}

function peopleSection(people: readonly PersonRow[], sender: Principal): Html {
  return html`<div id="people">${
    people.length === 0
      ? emptyState(
          'Nobody yet',
          'Only who holds API_TOKEN can sign in. Add people below, so that the audit log has their names.',
        )
      : table({
          caption: 'People',
          columns: [
            { name: 'Name', cell: nameCell },
            { name: 'Role', cell: (person) => roleCell(person, sender) },
            {
              name: 'Added',
              cell: (person) =>
                html`${when(person.created_at.toISOString())} <span class="muted">by ${person.created_by}</span>`,
            },
            { name: 'Actions', cell: (person) => removeCell(person, sender) },
          ],
          rows: people,
        })
  }</div>
${addForm()}`;
}

const nameCell = ({ name, login }: PersonRow) =>
  html`${name}${login !== name && html` <span class="muted below">signs in as ${login}</span>`}`;

function roleCell({ name, role, role_by_claim: byClaim, person_id }: PersonRow, sender: Principal): Html {
  if (person_id === sender.personId) return html`${role} <span class="muted">you</span>`;
  if (byClaim) return html`${role} <span class="muted">by the OpenID provider</span>`;
  return html`<form class="inline" method="post" action="/people/${name}/role"><select name="role" aria-label="Role of ${name}">${roleOptions(role)}</select>
<button>Change<span class="visually-hidden"> the role of ${name}</span></button></form>`;
}

const roleOptions = (chosen: Role) =>
  ROLES.map((role) => html`<option value="${role}"${role === chosen && html` selected`}>${role}</option>`);

function removeCell({ name, person_id }: PersonRow, sender: Principal): Html | undefined {
  if (person_id === sender.personId) return undefined;
  return html`<a class="button danger" href="/people/${name}/remove">Remove<span class="visually-hidden"> ${name}</span></a>`;
}

function addForm(): Html {
  return html`<form class="fields" method="post" action="/people">
<h2>Add somebody</h2>
<label>Name <input name="name" required maxlength="100" autocomplete="off" placeholder="ada@example.com"></label>
<label>Role <select name="role">${ROLES.map((role) => html`<option value="${role}">${role}: ${ROLE_WORDS[role]}</option>`)}</select></label>
<label>Login, if Tailscale or the OpenID provider call them otherwise <input name="login" maxlength="100" autocomplete="off"></label>
<div class="actions"><button class="primary">Add</button></div>
</form>`;
}

/** Renders `/people/{name}/remove`. */
export function removePage(name: string): Html {
  return html`<p class="crumbs"><a href="/people">People</a> ›</p>
<h1>Remove ${name}?</h1>
<p>Their tokens and sessions are refused at once. The audit log keeps what they did.</p>
<form class="actions" method="post" action="/people/${name}/remove"><button class="danger">Remove<span class="visually-hidden"> ${name}</span></button>
<a class="button" href="/people">Cancel</a></form>`;
}
