import { type Html, html, type Renderable } from './html.ts';

export interface Page {
  title: string;
  main: Renderable;
  /** The kind of machines the sandbox uses, shown on every page; undefined for a real cloud. */
  machines?: 'simulated' | 'real' | undefined;
  /** Whether the operator is signed in, which adds navigation and live updates. */
  operator?: boolean;
  /** Reloads the page after this many seconds, without JavaScript. */
  reloadSeconds?: number | undefined;
}

const NOTICES = {
  simulated: html`<p class="notice"><strong>Sandbox, simulated machines.</strong> No cloud is called and nothing is
    billed. The servers exist only in the sandbox’s API, and their health is simulated too.</p>`,
  real: html`<p class="notice"><strong>Sandbox.</strong> No cloud is called and nothing is billed. The servers are
    machines on this host.</p>`,
};

export function layout({ title, main, machines, operator = false, reloadSeconds }: Page): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${reloadSeconds !== undefined && html`<meta http-equiv="refresh" content="${reloadSeconds}">`}
<title>${title} · Agent stacks</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/assets/style.css">
${operator && html`<script type="module" src="/assets/live.js"></script>`}
</head>
<body>
<a class="skip" href="#main">Skip to content</a>
${operator && header}
<main id="main">
${machines !== undefined && NOTICES[machines]}
${main}
</main>
${operator && html`<p id="announcement" class="visually-hidden" role="status"></p>`}
</body>
</html>
`;
}

const header = html`<header>
<nav aria-label="Main"><a class="brand" href="/">Agent stacks</a> <a href="/attention">Attention</a></nav>
<p id="connection" class="muted"></p>
<form method="post" action="/sign-out"><button class="quiet">Sign out</button></form>
</header>`;
