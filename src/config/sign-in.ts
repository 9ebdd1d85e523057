import { z } from 'zod';
import type { Secret } from '../secret.ts';
import type { EnvironmentReader } from './environment-reader.ts';
import { httpUrl, oneLine } from './fields.ts';
import { isLoopback } from './rehearsal-endpoints.ts';
import { ROLES, type Role } from './roles.ts';

/** Sign-in by an OpenID provider. */
export interface OidcConfig {
  issuer: string;
  clientId: string;
  clientSecret: Secret;
  scopes: string;
  /** The claim that says what to call somebody. `email` counts only if the provider has verified it. */
  loginClaim: string;
  /** The claim that says the role; undefined: admins say it. */
  roleClaim: string | undefined;
  /** What the values of that claim stand for. */
  roles: ReadonlyMap<string, Role>;
}

export interface SignInConfig {
  oidc: OidcConfig | undefined;
  /** Whether the identity headers of `tailscale serve` are believed. */
  tailscale: boolean;
}

const roleNames = new Map<string, Role>(ROLES.map((role) => [role, role]));
const MAPPING = `must be VALUE=ROLE, several separated by commas; roles: ${ROLES.join(', ')}`;
const mapping = z.string().transform((text, context) => {
  const pairs = text.split(',').map((pair) => {
    const at = pair.lastIndexOf('=');
    return [pair.slice(0, at).trim(), roleNames.get(pair.slice(at + 1).trim())] as const;
  });
  const right = pairs.flatMap(([value, role]) =>
    value !== '' && role !== undefined ? [[value, role] as const] : [],
  );
  if (right.length === pairs.length) return new Map(right);
  context.addIssue({ code: 'custom', message: MAPPING });
  return z.NEVER;
});
const claim = z.string().regex(/^\S{1,200}$/, 'must be the name of a claim');
const scopes = z
  .string()
  .regex(/^[\x21\x23-\x5b\x5d-\x7e ]{1,500}$/, 'must be names of scopes, separated by blanks')
  .refine((text) => text.split(' ').includes('openid'), 'must include openid');

/** Problems go to the reader. */
export function readSignIn(reader: EnvironmentReader): SignInConfig {
  return {
    oidc: readOidc(reader),
    tailscale: reader.choice('TAILSCALE_SIGN_IN', ['on', 'off']) === 'on',
  };
}

const OTHERS = [
  'OIDC_CLIENT_ID',
  'OIDC_CLIENT_SECRET',
  'OIDC_SCOPES',
  'OIDC_LOGIN_CLAIM',
  'OIDC_ROLE_CLAIM',
  'OIDC_ROLES',
];

function readOidc(reader: EnvironmentReader): OidcConfig | undefined {
  const issuer = reader.read('OIDC_ISSUER', httpUrl);
  if (reader.text('OIDC_ISSUER') === undefined) {
    for (const name of OTHERS)
      if (reader.text(name) !== undefined) reader.problems.push(`${name} needs OIDC_ISSUER`);
    return undefined;
  }
  const why = 'OIDC_ISSUER needs it';
  const clientId = reader.required('OIDC_CLIENT_ID', oneLine, why);
  const clientSecret = reader.requiredSecret('OIDC_CLIENT_SECRET', oneLine, why);
  const roleClaim = reader.read('OIDC_ROLE_CLAIM', claim);
  if (roleClaim === undefined && reader.text('OIDC_ROLES') !== undefined)
    reader.problems.push('OIDC_ROLES needs OIDC_ROLE_CLAIM, whose values it explains');
  if (issuer === undefined || clientId === undefined) return undefined;
  const { protocol, hostname } = new URL(issuer);
  if (protocol !== 'https:' && !isLoopback(hostname))
    reader.problems.push('OIDC_ISSUER must be https, or on this machine');
  return {
    issuer,
    clientId,
    clientSecret,
    scopes: reader.read('OIDC_SCOPES', scopes) ?? 'openid email profile',
    loginClaim: reader.read('OIDC_LOGIN_CLAIM', claim) ?? 'email',
    roleClaim,
    roles: reader.read('OIDC_ROLES', mapping) ?? roleNames,
  };
}

/** Sandbox mode calls nothing outside this machine: another provider is left out, with a notice. */
export function onlyLocalProvider(signIn: SignInConfig): { signIn: SignInConfig; notices: string[] } {
  const { oidc } = signIn;
  if (oidc === undefined || isLoopback(new URL(oidc.issuer).hostname)) return { signIn, notices: [] };
  const notice = 'Sandbox mode ignores OIDC_ISSUER: it is not on this machine.';
  return { signIn: { ...signIn, oidc: undefined }, notices: [notice] };
}
