import { expect, test } from 'vitest';
import { secret, startReceiver } from '../../support/workflow.ts';
import { makeJob } from './setup.ts';

const grantOf = (origin: string) => ({
  OIDC_AUDIENCE: 'https://agents.example.com',
  ACTIONS_ID_TOKEN_REQUEST_URL: `${origin}/token?api-version=1`,
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'grant',
});

test('prints the token for the audience', async () => {
  const { origin } = await startReceiver(secret);
  const { run } = await makeJob();
  expect(await run('identity-token.sh', { environment: grantOf(origin) })).toEqual({
    code: 0,
    out: 'bearer_grant,_https://agents.example.com\n',
    err: '',
  });
});

test('prints none where GitHub gives none', async () => {
  const { run, replace } = await makeJob();
  await replace('curl', 'echo "curl: (22) The requested URL returned error: 403" >&2; exit 22');
  const ended = await run('identity-token.sh', { environment: grantOf('http://127.0.0.1:1') });
  expect(ended).toMatchObject({ code: 1, out: '', err: expect.stringContaining('error: 403') });
});
