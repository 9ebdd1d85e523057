import { accessSync, constants } from 'node:fs';
import http from 'node:http';
import { hostname } from 'node:os';
import type { EnvironmentReader } from './environment-reader.ts';

/** What child processes need of a process's environment. */
const PASSED_ON = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'LANG',
  'LC_ALL',
  'TZ',
  'TMPDIR',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'NODE_EXTRA_CA_CERTS',
  'PULUMI_HOME',
];

const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'];
/** Whom no proxy is asked for. Programs differ in which of the two they read, so both are set, and alike. */
const DIRECT = ['NO_PROXY', 'no_proxy'];
/** All gRPC here is between processes of this host, so its own settings can only lead away from it. */
const MISLEADING = /^(PG[A-Z]+|(no_)?grpc_proxy)$/i;

/**
 * This host, in the forms that programs look for, and the networks that only the tailnet and the sandbox's
 * machines are in.
 */
const NEVER_PROXIED = [
  'localhost',
  '127.0.0.1',
  '127.0.0.0/8',
  '::1',
  '[::1]',
  '100.64.0.0/10',
  'fd7a:115c:a1e0::/48',
  '10.254.254.1',
  '198.18.0.0/15',
];

/**
 * The environment of whatever this service starts; there is no other. Credentials are not in it, nor is
 * anything that leads a connection between our own processes elsewhere: no `PG*`, and proxies are asked for
 * outside addresses alone.
 * @param ownHosts names and addresses of this installation, beside this host's own.
 */
export function childEnvironment(
  reader: EnvironmentReader,
  ownHosts: readonly string[],
): Record<string, string> {
  checkTemporaryFolder(reader);
  return { ...reader.pick(PASSED_ON), ...proxyEnvironment(reader, ownHosts) };
}

function proxyEnvironment(reader: EnvironmentReader, ownHosts: readonly string[]): Record<string, string> {
  const proxies = Object.fromEntries(
    PROXIES.flatMap((name) => {
      const text = reader.text(name);
      return text === undefined ? [] : [[name, withScheme(text)]];
    }),
  );
  if (Object.keys(proxies).length === 0) return {};
  const given = DIRECT.flatMap((name) => (reader.text(name) ?? '').split(/[\s,]+/));
  const direct = [...new Set([...given, ...NEVER_PROXIED, hostname(), ...ownHosts])].filter(Boolean);
  // Some readers of this list split it at its commas and look no further: there is no blank in it.
  return { ...proxies, ...Object.fromEntries(DIRECT.map((name) => [name, direct.join(',')])) };
}

/** Most programs take `proxy:3128`; some take only addresses. */
const withScheme = (proxy: string) => (/^[a-z0-9+.-]+:\/\//i.test(proxy) ? proxy : `http://${proxy}`);

/**
 * Makes the environment of this very process as clean as that of its children, for libraries that read it by
 * themselves (pg, gRPC), and sends calls to the outside through the proxies, where there are any.
 * @param own of `childEnvironment`.
 */
export function useOwnEnvironment(
  environment: Record<string, string | undefined>,
  own: Record<string, string>,
): void {
  for (const name of Object.keys(environment)) {
    if (MISLEADING.test(name) || [...PROXIES, ...DIRECT].includes(name)) delete environment[name];
  }
  const proxied = Object.fromEntries([...PROXIES, ...DIRECT].flatMap((name) => pairOf(own, name)));
  Object.assign(environment, proxied);
  // Node speaks to no other kind of proxy.
  const understood = Object.entries(proxied).filter(
    ([name, value]) => DIRECT.includes(name) || isHttp(value),
  );
  if (understood.some(([name]) => PROXIES.includes(name)))
    http.setGlobalProxyFromEnv(Object.fromEntries(understood));
}

const pairOf = (own: Record<string, string>, name: string): [string, string][] =>
  own[name] === undefined ? [] : [[name, own[name]]];
const isHttp = (proxy: string) => /^https?:\/\//i.test(proxy) && URL.canParse(proxy);

/**
 * What is said at the start about variables that would lead connections to Postgres elsewhere, if they were
 * obeyed.
 */
export function postgresNotice(environment: Readonly<Record<string, string | undefined>>): string[] {
  const names = Object.keys(environment).filter((name) => /^PG[A-Z]+$/.test(name) && environment[name]);
  if (names.length === 0) return [];
  return [`${names.sort().join(', ')}: not obeyed. How Postgres is reached, DATABASE_URL alone says.`];
}

/**
 * Where temporary files go, as Node and Python choose it. A folder that is not there would be found out by
 * the first order.
 */
function checkTemporaryFolder(reader: EnvironmentReader): void {
  const name = ['TMPDIR', 'TMP', 'TEMP'].find((variable) => reader.text(variable) !== undefined);
  if (name === undefined) return;
  try {
    const folder = reader.pick([name])[name]!;
    // Not `join`, which takes the dot off again: with it a file is no folder.
    accessSync(`${folder}/.`, constants.W_OK | constants.X_OK);
  } catch {
    reader.problems.push(`${name} must name a folder that is there and can be written to, or be left out`);
  }
}
