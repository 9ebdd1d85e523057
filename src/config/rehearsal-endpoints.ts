import type { EnvironmentReader } from './environment-reader.ts';
import { runsElsewhere } from './executor-name.ts';

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;
/** Whether a URL's host is this machine. */
export const isLoopback = (hostname: string) => LOOPBACK.test(hostname);

/** The control server of machines in network namespaces has a private address. */
const PRIVATE = /^(10(\.\d{1,3}){3}|192\.168(\.\d{1,3}){2}|172\.(1[6-9]|2\d|3[01])(\.\d{1,3}){2})$/;

/** Endpoints that a rehearsal must set: their defaults are the real clouds. */
const REQUIRED = ['HCLOUD_ENDPOINT', 'TAILSCALE_BASE_URL'];
const OPTIONAL = [
  'STRIPE_API_URL',
  'GITHUB_API_URL',
  'GITHUB_OIDC_ISSUER',
  'TAILSCALE_LOGIN_SERVER',
  'PULUMI_BACKEND_URL',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OIDC_ISSUER',
];

/** Refuses endpoints outside this machine: a rehearsal must reach nothing else. Problems go to the reader. */
export function refuseOutside(reader: EnvironmentReader): void {
  const github = runsElsewhere(reader.text('EXECUTOR')) || reader.text('GITHUB_PAT') !== undefined;
  const identity = reader.text('GITHUB_OIDC_AUDIENCE') !== undefined;
  const required = [
    ...REQUIRED,
    ...(github ? ['GITHUB_API_URL'] : []),
    ...(identity ? ['GITHUB_OIDC_ISSUER'] : []),
  ];
  for (const name of required)
    if (reader.text(name) === undefined)
      reader.problems.push(`${name} is missing: a rehearsal uses a sandbox on this machine`);
  for (const name of new Set([...REQUIRED, ...OPTIONAL])) {
    const url = reader.text(name);
    if (url === undefined || !URL.canParse(url)) continue;
    const { protocol, hostname, searchParams } = new URL(url);
    if (protocol === 'file:') continue;
    // Clients of Postgres obey a `host` behind the question mark before the one in front of it.
    const host = searchParams.get('host') ?? hostname;
    const isSocket = name === 'PULUMI_BACKEND_URL' && /^($|\/)/.test(host);
    const isInside =
      isSocket || LOOPBACK.test(host) || (name === 'TAILSCALE_LOGIN_SERVER' && PRIVATE.test(host));
    if (!isInside) reader.problems.push(`${name} must be on loopback in a rehearsal, not ${host}`);
  }
}
