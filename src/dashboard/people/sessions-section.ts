import type { SignInMethod } from '../../database/vocabulary.ts';
import { INSTALLATION } from '../../http/environment-principals.ts';
import type { Principal } from '../../http/principal.ts';
import type { SessionRow } from '../../people/session-list.ts';
import { table } from '../design/table.ts';
import { when } from '../design/when.ts';
import { type Html, html } from '../html.ts';

const METHODS: Record<SignInMethod, string> = {
  token: 'a token',
  oidc: 'the OpenID provider',
  tailscale: 'Tailscale',
};

/** Renders open sessions in browsers, with a button that ends each. */
export function sessionsSection(sessions: readonly SessionRow[], sender: Principal): Html {
  return html`<h2>Sessions</h2>
<div id="sessions">${
    sessions.length === 0
      ? html`<p class="muted">None.</p>`
      : table({
          caption: 'Sessions',
          columns: [
            { name: 'Whose', cell: (row) => whoseCell(row, sender) },
            {
              name: 'Signed in',
              cell: (row) =>
                html`${when(row.created_at.toISOString())} <span class="muted">with ${METHODS[row.method]}</span>`,
            },
            {
              name: 'Last used',
              cell: ({ last_used_at: at }) => (at === null ? '–' : when(at.toISOString())),
            },
            { name: 'Ends', cell: (row) => when(row.expires_at.toISOString()) },
            { name: 'Browser', cell: ({ browser }) => html`<span class="muted">${browser ?? '–'}</span>` },
            { name: 'Actions', cell: endCell },
          ],
          rows: sessions,
        })
  }</div>`;
}

const whoseCell = ({ name, session_id }: SessionRow, { sessionId }: Principal) =>
  html`${name ?? INSTALLATION.name}${session_id === sessionId && html` <span class="muted">this one</span>`}`;

const endCell = ({ session_id: id, name }: SessionRow) =>
  html`<form method="post" action="/people/sessions/${id}/end"><button id="end-${id}">End<span class="visually-hidden"> the session of ${name ?? INSTALLATION.name}</span></button></form>`;
