import type { Request } from 'express';
import type { HttpDeps } from '../../http/deps.ts';
import { readTailscaleLogin } from '../../http/sign-in/tailscale.ts';
import { findByLogin, type PersonRow } from '../../people/people.ts';

/** Whom Tailscale names, and who that is here; undefined: it names nobody, or is not to be believed. */
export async function findTailscalePerson(
  { database, signIn, trustedProxies }: HttpDeps,
  request: Request,
): Promise<{ login: string; person: PersonRow | undefined } | undefined> {
  if (signIn?.tailscale !== true) return undefined;
  const login = readTailscaleLogin(request, trustedProxies);
  return login === undefined ? undefined : { login, person: await findByLogin(database, login) };
}
