import { expect, test } from 'vitest';
import { readClientConfig } from '../../src/config/client.ts';
import { type Config, readConfig } from '../../src/config/config.ts';

const OIDC = { OIDC_ISSUER: 'http://127.0.0.1:9000', OIDC_CLIENT_ID: 'agents', OIDC_CLIENT_SECRET: 'secret' };
const read = (variables: Record<string, string>): Config => readConfig({ DATA_DIR: '/tmp/x', ...variables });

test('nothing but tokens by default, and one listener', () => {
  expect(read({})).toMatchObject({ signIn: { oidc: undefined, tailscale: false }, operator: undefined });
});

test('the claim’s values stand for roles', () => {
  const variables = { ...OIDC, OIDC_ROLE_CLAIM: 'groups', OIDC_ROLES: 'cn=admins,ou=x=admin' };
  expect(() => read(variables)).toThrow('OIDC_ROLES must be VALUE=ROLE');
  const { oidc } = read({ ...variables, OIDC_ROLES: 'admins=admin, on call=support,cn=all=viewer' }).signIn;
  expect(oidc).toMatchObject({ loginClaim: 'email', roleClaim: 'groups', scopes: 'openid email profile' });
  expect([...oidc!.roles]).toEqual([
    ['admins', 'admin'],
    ['on call', 'support'],
    ['cn=all', 'viewer'],
  ]);
  expect([...read({ ...OIDC, OIDC_ROLE_CLAIM: 'groups' }).signIn.oidc!.roles.keys()]).toContain('operator');
});

test.each([
  [{ OIDC_CLIENT_ID: 'x' }, 'OIDC_CLIENT_ID needs OIDC_ISSUER'],
  [{ OIDC_ISSUER: OIDC.OIDC_ISSUER }, 'OIDC_CLIENT_SECRET is missing'],
  [{ ...OIDC, OIDC_ROLES: 'x=admin' }, 'OIDC_ROLES needs OIDC_ROLE_CLAIM'],
  [{ ...OIDC, OIDC_ROLE_CLAIM: 'g', OIDC_ROLES: 'x=owner' }, 'OIDC_ROLES must be'],
  [{ ...OIDC, OIDC_SCOPES: 'email' }, 'OIDC_SCOPES must include openid'],
  [{ ...OIDC, OIDC_ISSUER: 'http://login.example.com' }, 'OIDC_ISSUER must be https'],
  [{ TAILSCALE_SIGN_IN: 'yes' }, 'TAILSCALE_SIGN_IN must be one of on, off'],
  [{ OPERATOR_HOST: '127.0.0.1' }, 'OPERATOR_HOST needs OPERATOR_PORT'],
  [{ OPERATOR_URL: 'https://x.test' }, 'OPERATOR_URL needs OPERATOR_PORT'],
  [{ OPERATOR_PORT: '8080' }, 'OPERATOR_PORT must differ from PORT'],
  [
    { OPERATOR_PORT: '90', OPERATOR_HOST: '0.0.0.0' },
    'OPERATOR_HOST must be a loopback address in sandbox mode',
  ],
])('%j is refused', (variables, problem) => {
  expect(() => read(variables)).toThrow(problem);
});

test('sandbox mode ignores a provider elsewhere, and a rehearsal refuses it', () => {
  const elsewhere = { ...OIDC, OIDC_ISSUER: 'https://login.example.com' };
  const config = read(elsewhere);
  expect(config.signIn.oidc).toBeUndefined();
  expect(config.notices.join()).toContain('ignores OIDC_ISSUER');
  expect(() => read({ ...elsewhere, MODE: 'rehearsal' })).toThrow(
    'OIDC_ISSUER must be on loopback in a rehearsal',
  );
});

test('the commands find the operators’ listener where the service has it', () => {
  const url = (variables: Record<string, string>) => readClientConfig(variables).url;
  const PUBLIC_URL = 'https://agents.example.com';
  expect(url({ PUBLIC_URL })).toBe(PUBLIC_URL);
  expect(url({ PUBLIC_URL, OPERATOR_PORT: '8090' })).toBe('http://127.0.0.1:8090');
  expect(url({ PUBLIC_URL, OPERATOR_PORT: '8090', OPERATOR_HOST: '::1' })).toBe('http://[::1]:8090');
  expect(url({ PUBLIC_URL, OPERATOR_PORT: '8090', OPERATOR_URL: 'https://a.ts.net/' })).toBe(
    'https://a.ts.net',
  );
  expect(read({ OPERATOR_PORT: '8090' }).operator).toEqual({
    host: '127.0.0.1',
    port: 8090,
    url: 'http://127.0.0.1:8090',
  });
});
