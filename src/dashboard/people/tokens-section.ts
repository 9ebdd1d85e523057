import type { PersonRow } from '../../people/people.ts';
import { DEFAULT_TOKEN_DAYS, MOST_TOKEN_DAYS, type TokenRow } from '../../people/tokens.ts';
import { badge } from '../design/badge.ts';
import { emptyState } from '../design/banner.ts';
import { copyable } from '../design/copy.ts';
import { table } from '../design/table.ts';
import { when } from '../design/when.ts';
import { type Html, html } from '../html.ts';

/** Renders tokens, and for an admin the form that makes one. `people`: undefined for others. */
export function tokensSection(tokens: readonly TokenRow[], people: readonly PersonRow[] | undefined): Html {
  return html`<h2>Tokens</h2>
<div id="tokens">${
    tokens.length === 0
      ? emptyState(
          'No tokens',
          'A token lets a program, or a person at a terminal, use the API as its person.',
        )
      : table({
          caption: 'Tokens',
          columns: [
            { name: 'Label', cell: ({ label }) => label },
            { name: 'Whose', cell: ({ name }) => name },
            { name: 'State', cell: stateCell },
            {
              name: 'Last used',
              cell: ({ last_used_at: at }) => (at === null ? 'never' : when(at.toISOString())),
            },
            {
              name: 'Made',
              cell: (row) =>
                html`${when(row.created_at.toISOString())} <span class="muted">by ${row.created_by}</span>`,
            },
            { name: 'Actions', cell: revokeCell },
          ],
          rows: tokens,
        })
  }</div>
${people !== undefined && people.length > 0 && createForm(people)}`;
}

function stateCell({ isOpen, revoked_at: revokedAt, expires_at: expiresAt }: TokenRow): Html {
  if (isOpen)
    return html`${badge('open', 'good')} <span class="muted">expires ${when(expiresAt.toISOString())}</span>`;
  if (revokedAt === null) return html`${badge('expired', 'plain')} ${when(expiresAt.toISOString())}`;
  return html`${badge('revoked', 'plain')} ${when(revokedAt.toISOString())}`;
}

function revokeCell({ token_id: id, label, name, isOpen }: TokenRow): Html | undefined {
  if (!isOpen) return undefined;
  return html`<form method="post" action="/people/tokens/${id}/revoke"><button id="revoke-${id}" class="danger">Revoke<span class="visually-hidden"> ${label} of ${name}</span></button></form>`;
}

function createForm(people: readonly PersonRow[]): Html {
  return html`<form class="fields" method="post" action="/people/tokens">
<h3>Make a token</h3>
<label>For <select name="name">${people.map(({ name }) => html`<option>${name}</option>`)}</select></label>
<label>Label <input name="label" required maxlength="100" autocomplete="off" placeholder="laptop"></label>
<label>Days until it expires <input name="days" type="number" min="1" max="${MOST_TOKEN_DAYS}" value="${DEFAULT_TOKEN_DAYS}" required></label>
<div class="actions"><button class="primary">Make</button></div>
</form>`;
}

/** Renders the answer to that form: the only page that has the token. */
export function createdPage({ name, label, expires_at: expiresAt }: TokenRow, token: string): Html {
  return html`<p class="crumbs"><a href="/people">People</a> ›</p>
<h1>The token ${label}</h1>
<p>It is ${name}’s, and expires ${when(expiresAt.toISOString())}. Copy it now: nothing shows it again.</p>
<p class="token">${copyable(token, 'the token')}</p>
<p><a class="button" href="/people">Done</a></p>`;
}
