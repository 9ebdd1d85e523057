import { type Html, html } from './html.ts';

/** Renders `/sign-in`. `next` is the path to redirect to afterwards. */
export function signInPage({ next, problem }: { next: string; problem?: string }): Html {
  return html`<div class="narrow">
<h1>Agent stacks</h1>
<form method="post" action="/sign-in">
<input type="hidden" name="next" value="${next}">
<label for="token">Operator token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus
${problem !== undefined && html`aria-invalid="true" aria-describedby="problem"`}>
${problem !== undefined && html`<p id="problem" class="problem" role="alert">${problem}</p>`}
<button class="primary">Sign in</button>
</form>
<p class="muted">Use the service’s <code>API_TOKEN</code>. In sandbox mode the service generates one on its first start: it is
<code>apiToken</code> in <code>sandbox.json</code> in the data folder.</p>
</div>`;
}
