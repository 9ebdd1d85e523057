import { PROBLEM_NAMES, PROBLEMS, type ProblemName, problemType } from '../../http/problems.ts';
import { type Html, html } from '../html.ts';
import { homeCrumb } from '../parts.ts';
import { withCode } from './schema-text.ts';

/** Renders `/problems`: every type of problem that the API answers. */
export function problemsPage(): Html {
  return html`${homeCrumb()}<h1>Problems</h1>
<p>Errors of <a href="/reference">the API</a> are problem details (RFC 9457). Their <code>type</code> is one of these
addresses, and never changes its meaning.</p>
<table><caption class="visually-hidden">Every type of problem</caption>
<thead><tr><th scope="col">Type</th><th scope="col">Status</th><th scope="col">Meaning</th></tr></thead>
<tbody>${PROBLEM_NAMES.map(
    (
      name,
    ) => html`<tr><th scope="row"><a href="${problemType(name)}"><code>${problemType(name)}</code></a></th>
<td data-label="Status">${PROBLEMS[name].status}</td><td data-label="Meaning">${PROBLEMS[name].title}</td></tr>`,
  )}</tbody></table>`;
}

/** Renders the page of one type of problem: when it is answered, and what to do. */
export function problemPage(name: ProblemName): Html {
  const { status, title, when, cure } = PROBLEMS[name];
  return html`<div class="narrow"><h1>${title}</h1>
<p class="muted"><code>${problemType(name)}</code>, status ${status}</p>
<h2>When</h2><p>${withCode(when)}</p>
<h2>What to do</h2><p>${withCode(cure)}</p>
<p><a href="/problems">All problems</a></p></div>`;
}
