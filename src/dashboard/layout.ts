import type { Principal } from '../http/principal.ts';
import { assetUrl } from './assets.ts';
import { type Html, html, type Renderable } from './html.ts';

/** Where a page stands in the navigation. */
export type Place = 'overview' | 'agents' | 'attention';

export interface Page {
  title: string;
  main: Renderable;
  /** The kind of machines the sandbox uses, shown on every page; undefined for a real cloud. */
  machines?: 'simulated' | 'real' | undefined;
  /** Whether the operator is signed in, which adds navigation and live updates. */
  operator?: boolean;
  /** Whether an operator's page follows what happens; default: yes. What a form was answered does not. */
  isLive?: boolean;
  place?: Place | undefined;
  /** Who has signed in. */
  sender?: Principal | undefined;
  /** Whether the page has a search of its own, so that the header needs none. */
  searches?: boolean;
  /** The page looks for changes after so many seconds; without scripts the browser reloads it. */
  reloadSeconds?: number | undefined;
  /** The browser goes on to this path by itself. */
  leadsTo?: string | undefined;
  /** Whether it is another page that is waited for, so that all of it is loaded, once it is answered. */
  reloadsWhole?: boolean;
  /** Whose page it is, if not the service's own, and the style sheet with their colours. */
  brand?: { site: string; style: string | undefined } | undefined;
}

const NOTICES = {
  simulated: html`<strong>Sandbox, simulated machines.</strong> No cloud is called and nothing is
    billed. The servers exist only in the sandbox’s API, and their health is simulated too.`,
  real: html`<strong>Sandbox.</strong> No cloud is called and nothing is billed. The servers are
    machines on this host.`,
};

/** Says what the sandbox is. Who buys in it operates it too, so a buyer's page leads to the dashboard. */
const notice = (machines: 'simulated' | 'real', isOthers: boolean) =>
  html`<p class="notice">${NOTICES[machines]}${isOthers && html` <a href="/">Dashboard</a>`}</p>`;

const STYLES = ['tokens.css', 'parts.css', 'agent.css', 'pages.css'].map(
  (name) => html`<link rel="stylesheet" href="${assetUrl(name)}">
`,
);
const script = (name: string) => html`<script type="module" src="${assetUrl(name)}"></script>
`;
const SCRIPTS = ['copy.js', 'keys.js'].map(script);
const LIVE_SCRIPTS = ['live.js', 'feed.js', 'log.js'].map(script);

/** What keeps a page up to date that has no events. */
const following = (seconds: number) =>
  html`<noscript><meta http-equiv="refresh" content="${seconds}"></noscript>
${FOLLOW}`;
const FOLLOW = script('follow.js');

export function layout(page: Page): Html {
  const { title, main, machines, operator = false, isLive = operator, reloadSeconds } = page;
  const { leadsTo, brand } = page;
  return html`<!doctype html>
<html lang="en"${reloadSeconds !== undefined && html` data-reload-seconds="${reloadSeconds}"`}${page.reloadsWhole === true && html` data-reloads-whole`}>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · ${brand?.site ?? 'Agent stacks'}</title>
<link rel="icon" href="data:,">
${
  leadsTo !== undefined &&
  html`<meta http-equiv="refresh" content="0;url=${leadsTo}">
`
}${STYLES}${
  brand?.style !== undefined &&
  html`<link rel="stylesheet" href="${brand.style}">
`
}${isLive && LIVE_SCRIPTS}${operator && SCRIPTS}${reloadSeconds !== undefined && following(reloadSeconds)}</head>
<body>
<a class="skip" href="#main">Skip to content</a>
${operator && header(page)}
<main id="main">
${machines !== undefined && notice(machines, !operator)}
${main}
</main>
${operator && FOOTER}
</body>
</html>
`;
}

const PLACES: readonly { place: Place; href: string; text: string }[] = [
  { place: 'overview', href: '/', text: 'Overview' },
  { place: 'agents', href: '/agents', text: 'Agents' },
  { place: 'attention', href: '/attention', text: 'Attention' },
];

function header({ place: current, searches = false, sender }: Page): Html {
  const links = PLACES.map(
    ({ place, href, text }) =>
      html`<a href="${href}"${place === current && html` aria-current="page"`}>${text}</a>`,
  );
  return html`<header>
<nav aria-label="Main"><a class="brand" href="/">Agent stacks</a>${links}</nav>
${!searches && SEARCH}
<p id="connection" class="muted"></p>
${sender !== undefined && html`<a class="sender" href="/people" title="${sender.name}, ${sender.role}">${sender.name}</a>`}
<form method="post" action="/sign-out"><button class="quiet">Sign out</button></form>
</header>`;
}

const SEARCH = html`<search><form action="/agents"><input id="search" type="search" name="q" maxlength="200"
 placeholder="Search agents" aria-label="Search agents" aria-keyshortcuts="/"></form></search>`;

const SHORTCUTS = [
  ['/', 'Search agents'],
  ['g o', 'Overview'],
  ['g a', 'Agents'],
  ['g t', 'Attention'],
  ['?', 'This list'],
] as const;

const FOOTER = html`<footer><a id="shows-keys" href="#keys">Keyboard</a> · <a href="/doctor">Doctor</a> · <a href="/reference">API</a> · <a href="/design">Design</a></footer>
<dialog id="keys" aria-labelledby="keys-title">
<h2 id="keys-title">Keyboard</h2>
<dl>${SHORTCUTS.map(
  ([keys, text]) =>
    html`<div><dt>${keys.split(' ').map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${text}</dd></div>`,
)}</dl>
<form method="dialog"><button>Close</button></form>
</dialog>
<p id="announcement" class="visually-hidden" role="status"></p>`;
