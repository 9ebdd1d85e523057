import type { Role } from '../../src/database/vocabulary.ts';
import type { TestService } from './http-service.ts';

/** Adds somebody by the API and makes a token for them. */
export async function addPerson(
  service: TestService,
  name: string,
  role: Role,
): Promise<{ token: string; tokenId: string; bearer: { authorization: string } }> {
  const added = await service.ask('/api/people', { json: { name, role } });
  if (added.status !== 201) throw new Error(`could not add ${name}: ${await added.text()}`);
  return makeToken(service, name);
}

export async function makeToken(service: TestService, name: string) {
  const made = await service.ask('/api/tokens', { json: { name, label: 'tests' } });
  const { token, tokenId } = (await made.json()) as { token: string; tokenId: string };
  return { token, tokenId, bearer: { authorization: `Bearer ${token}` } };
}

/** Signs in on the page with a token. @returns the headers of a browser that has the session's cookie */
export async function signIn(service: Pick<TestService, 'url'>, token: string) {
  const response = await fetch(`${service.url}/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'sec-fetch-site': 'same-origin', 'user-agent': 'test browser' },
    body: new URLSearchParams({ token }),
  });
  const cookie = response.headers.get('set-cookie')?.split(';')[0];
  if (cookie === undefined) throw new Error(`could not sign in: ${response.status}`);
  return { cookie, 'sec-fetch-site': 'same-origin' };
}
