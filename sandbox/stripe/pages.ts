import type { Response } from 'express';
import type { Session } from './wire.ts';

/** Text that is already HTML. */
class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Inserts values into HTML and escapes those that are not HTML. */
export function html(strings: TemplateStringsArray, ...values: (string | Html | Html[])[]): Html {
  const parts = strings.map((string, index) => string + render(values[index] ?? ''));
  return new Html(parts.join(''));
}

/**
 * Sends a page that cannot load resources other than its style, run scripts or be framed. Browsers check a
 * form against `formTargets` even after redirects, so they must include the origin to which the form's answer
 * redirects.
 */
export function sendPage(
  response: Response,
  { title, body, formTargets = [] }: { title: string; body: Html; formTargets?: string[] },
): void {
  const policy = [
    "default-src 'none'",
    `style-src 'self'`,
    ["form-action 'self'", ...formTargets].join(' '),
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ];
  response.set('Content-Security-Policy', policy.join('; '));
  response.set('Cache-Control', 'no-store');
  response.type('html').send(
    html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} – sandbox checkout</title>
<link rel="stylesheet" href="/checkout/style.css">
</head>
<body>
<p class="notice"><strong>Sandbox.</strong> This page stands in for Stripe Checkout. No money moves, and no card is asked for.</p>
<main>
<h1>${title}</h1>
${body}
</main>
</body>
</html>
`.text,
  );
}

export const STYLE = `:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 36rem; padding: 1rem; }
.notice { border: 2px solid #b45309; border-radius: .4rem; padding: .6rem .9rem; }
.problem { border-left: .4rem solid #b91c1c; padding: .4rem .8rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.2rem; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
label { display: block; margin-top: .9rem; font-weight: 600; }
small { display: block; }
input, select, button { font: inherit; padding: .5rem .7rem; min-height: 2.75rem; box-sizing: border-box; }
input, select { width: 100%; }
button { margin-top: 1.2rem; margin-right: .6rem; cursor: pointer; }
:focus-visible { outline: 3px solid #2563eb; outline-offset: 2px; }
`;

/** Renders the purchased items and the buyer. */
export function orderSummary(session: Session, items: string[]): Html {
  const rows: [string, string][] = [
    ['Item', items.join(', ')],
    ['Price', priceText(session)],
    ...['plan', 'region', 'agentId', 'userId'].flatMap((name): [string, string][] => {
      const value = session.metadata?.[name];
      return value ? [[FIELD_NAMES[name]!, value]] : [];
    }),
  ];
  return html`<dl>${rows.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>\n`)}</dl>`;
}

const FIELD_NAMES: Record<string, string> = {
  plan: 'Plan',
  region: 'Region',
  agentId: 'Agent',
  userId: 'Customer',
};

function priceText(session: Session): string {
  const currency = (session.currency ?? 'eur').toUpperCase();
  const amount = new Intl.NumberFormat('en', { style: 'currency', currency }).format(
    (session.amount_total ?? 0) / 100,
  );
  return session.mode === 'subscription' ? `${amount} per period` : amount;
}

function render(value: string | Html | Html[]): string {
  if (Array.isArray(value)) return value.map((part) => part.text).join('');
  return value instanceof Html ? value.text : escapeText(value);
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}
