import { type Html, html } from '../html.ts';

export interface SignInPage {
  /** The path to lead to afterwards. */
  next: string;
  problem?: string | undefined;
  /** Whether there is an OpenID provider. */
  oidc: boolean;
  /** Whom Tailscale has recognised; `isKnown`: they may sign in. */
  tailscale: { login: string; isKnown: boolean } | undefined;
}

/** Renders `/sign-in`. */
export function signInPage({ next, problem, oidc, tailscale }: SignInPage): Html {
  return html`<div class="narrow">
<h1>Agent stacks</h1>
${tailscale !== undefined && tailscaleForm(tailscale, next)}
${oidc && html`<p><a class="button primary" href="/sign-in/oidc?next=${encodeURIComponent(next)}">Sign in with OpenID</a></p>`}
<form method="post" action="/sign-in">
<input type="hidden" name="next" value="${next}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus
${problem !== undefined && html`aria-invalid="true" aria-describedby="problem"`}>
${problem !== undefined && html`<p id="problem" class="problem" role="alert">${problem}</p>`}
<button class="${oidc || tailscale?.isKnown === true ? '' : 'primary'}">Sign in</button>
</form>
<p class="muted">Use a token that an admin has made for you, or the service’s <code>API_TOKEN</code>. In sandbox mode the service
generates that on its first start: it is <code>apiToken</code> in <code>sandbox.json</code> in the data folder.</p>
</div>`;
}

function tailscaleForm({ login, isKnown }: NonNullable<SignInPage['tailscale']>, next: string): Html {
  if (!isKnown)
    return html`<p class="notice">Tailscale says that you are <strong>${login}</strong>. Nobody here has this login: ask an admin to add it.</p>`;
  return html`<form method="post" action="/sign-in/tailscale"><input type="hidden" name="next" value="${next}">
<button class="primary">Continue as ${login}</button></form>`;
}

/**
 * Renders the answer to the provider's redirect. It leads on by itself: a redirect would still count as
 * coming from the provider's site, and the browser would keep the new cookie back.
 */
export function signedInPage(next: string): Html {
  return html`<div class="narrow"><h1>Signed in</h1><p><a href="${next}">Continue</a></p></div>`;
}
