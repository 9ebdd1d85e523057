import express, {
  type ErrorRequestHandler,
  type Request,
  type RequestHandler,
  type Response,
  type Router,
} from 'express';
import helmet from 'helmet';
import { StripeError } from './errors.ts';
import type { Session } from './wire.ts';

/** Text that is already HTML. */
export class Html {
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

interface Page {
  title: string;
  body: Html;
  formTargets?: string[];
  /** The page of Stripe that this one stands in for. */
  standsIn?: string;
}

/**
 * Sends a page that cannot load resources other than its style, run scripts or be framed. Browsers check a
 * form against `formTargets` even after redirects, so they must include the origin to which the form's answer
 * redirects.
 */
export function sendPage(
  response: Response,
  { title, body, formTargets = [], standsIn = 'Stripe Checkout' }: Page,
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
<title>${title} – sandbox</title>
<link rel="stylesheet" href="/checkout/style.css">
</head>
<body>
<p class="notice"><strong>Sandbox.</strong> This page stands in for ${standsIn}. No money moves; never enter a real card.</p>
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
.done { border-left: .4rem solid #15803d; padding: .4rem .8rem; }
section { border: 1px solid #94a3b8; border-radius: .4rem; padding: 0 1rem 1rem; margin-bottom: 1rem; }
h2 { margin: 2rem 0 .6rem; font-size: 1.2rem; } h3 { margin: 1rem 0 .3rem; font-size: 1.05rem; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: .4rem .5rem .4rem 0; text-align: left; border-bottom: 1px solid #94a3b8; }
td form { text-align: right; } td button { margin: 0; }
td:first-child { white-space: nowrap; } td:last-child { padding-right: 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.2rem; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
label { display: block; margin-top: .9rem; font-weight: 600; }
small { display: block; }
input, select, button { font: inherit; padding: .5rem .7rem; min-height: 2.75rem; box-sizing: border-box; }
input, select { width: 100%; }
button { margin-top: 1.2rem; margin-right: .6rem; cursor: pointer; border: 1px solid #818b98; border-radius: .4rem; }
main > form > button:first-of-type { color: #fff; background: #0550ae; border-color: #0550ae; }
select, input { border: 1px solid #818b98; border-radius: .4rem; }
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

/** Returns an amount of the smallest currency unit as a customer reads it. */
export function moneyText(amount: number, currency: string): string {
  const format = new Intl.NumberFormat('en', { style: 'currency', currency: currency.toUpperCase() });
  return format.format(amount / 100);
}

/** Returns the day of a time in Unix seconds. */
export function dateText(at: number): string {
  return new Date(at * 1000).toLocaleDateString('en', { dateStyle: 'medium', timeZone: 'UTC' });
}

/** Returns whether a page's caller prefers JSON. */
export function wantsJson(request: Request): boolean {
  return request.accepts(['html', 'json']) === 'json';
}

/** Other websites must not act here through a user's browser. */
export const refuseOtherSites: RequestHandler = (request, response, next) => {
  const readOnly = request.method === 'GET' || request.method === 'HEAD';
  if (readOnly || request.get('sec-fetch-site') !== 'cross-site') next();
  else response.status(403).json({ error: 'Refused: the request came from another site.' });
};

/** Adds what every router of pages needs: headers, the parser of forms, and the style. */
export function preparePages(router: Router): void {
  router.use(helmet({ contentSecurityPolicy: false, strictTransportSecurity: false }), refuseOtherSites);
  router.use(express.urlencoded({ extended: false, limit: '16kb' }));
}

/** Answers Stripe's errors as a page, or as JSON on request. */
export function answerPageError(page: Pick<Page, 'standsIn'> = {}): ErrorRequestHandler {
  return (error, request, response, next) => {
    if (response.headersSent || !(error instanceof StripeError)) return next(error);
    response.status(error.status);
    if (wantsJson(request)) response.json({ error: error.message });
    else sendPage(response, { title: 'Error', body: html`<p>${error.message}</p>`, ...page });
  };
}

function priceText(session: Session): string {
  const amount = moneyText(session.amount_total ?? 0, session.currency ?? 'eur');
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
