import { type Html, html } from './html.ts';

/** `/sign-in`. `next` is the path to continue to. */
export function signInPage({ next, problem }: { next: string; problem?: string }): Html {
  return html`<div class="narrow">
<h1>Agent stacks</h1>
<form method="post" action="/sign-in">
<input type="hidden" name="next" value="${next}">
<label for="token">Operator’s token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus
${problem !== undefined && html`aria-invalid="true" aria-describedby="problem"`}>
${problem !== undefined && html`<p id="problem" class="problem" role="alert">${problem}</p>`}
<button>Sign in</button>
</form>
<p class="muted">It is the service’s API_TOKEN. In sandbox mode the service makes one at its first start and writes it to
<code>sandbox.json</code> in its data folder, as <code>apiToken</code>.</p>
</div>`;
}
