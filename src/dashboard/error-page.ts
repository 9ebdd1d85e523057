import { isDatabaseUnavailable } from '../database/connect.ts';
import type { Refusal } from '../http/problem.ts';
import { needBanner } from './design/banner.ts';
import { type Html, html } from './html.ts';
import type { Page } from './layout.ts';

const TITLES: Record<number, string> = {
  400: 'That is not valid',
  403: 'Not allowed',
  404: 'Not found',
  409: 'Not possible now',
  429: 'Too many requests',
};

/** How often a page that the database keeps from being shown asks for itself again. */
const AGAIN_SECONDS = 5;

/** Renders what is shown in place of a page: what is wrong, and where to go from here. */
export function errorPage(error: unknown, refusal: Refusal): Omit<Page, 'machines'> {
  if (isDatabaseUnavailable(error)) return databaseAway();
  const title = TITLES[refusal.status] ?? 'Something went wrong';
  return {
    title,
    main: narrow(
      html`<h1>${title}</h1><p class="problem" role="alert">${refusal.detail}</p>
<p><a href="/">Overview</a> · <a href="/agents">All agents</a></p>`,
    ),
  };
}

function databaseAway(): Omit<Page, 'machines'> {
  const title = 'The database is unavailable';
  return {
    title,
    reloadSeconds: AGAIN_SECONDS,
    reloadsWhole: true,
    main: narrow(
      html`<h1>Nothing can be shown just now</h1>${needBanner({
        id: 'database',
        title,
        cause:
          'The service runs, and its Postgres does not answer. No order is lost: Stripe’s events are answered 503 meanwhile, and Stripe delivers them again. Agents run on.',
        cure: 'See that Postgres runs and that this host reaches it at DATABASE_URL. In sandbox mode the service has its own: start the service again.',
        actions: html`<a class="button primary" href="">Try again</a>`,
      })}
<p class="muted">This page tries again every ${AGAIN_SECONDS} seconds.</p>`,
    ),
  };
}

const narrow = (content: Html) => html`<div class="narrow">${content}</div>`;
