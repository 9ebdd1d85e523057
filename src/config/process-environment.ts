import { accessSync, constants } from 'node:fs';
import http from 'node:http';
import { hostname } from 'node:os';
import type { EnvironmentReader } from './environment-reader.ts';

/** Variables that child processes inherit. */
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
  'NODE_COMPILE_CACHE',
  'NODE_EXTRA_CA_CERTS',
  'PULUMI_HOME',
  'PULUMI_PLUGIN_DOWNLOAD_URL_OVERRIDES',
];

const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'];
/**
 * Hosts to be reached without a proxy. Programs differ in which of the two they read, so both are set alike.
 */
const DIRECT = ['NO_PROXY', 'no_proxy'];
/** All gRPC here stays on this host, so its own proxy settings can only mislead it. */
const MISLEADING = /^(PG[A-Z]+|(no_)?grpc_proxy)$/i;

/**
 * This host in the forms that programs recognise, and the networks that exist only in the tailnet and among
 * the sandbox's machines.
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
 * Builds the environment of every process this service starts. It holds no credentials and nothing that could
 * divert connections between our own processes: no `PG*`, and proxies apply to outside addresses alone.
 * @param ownHosts names and addresses of this installation, in addition to this host's own.
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
  // Some readers split this list at commas without trimming, so it contains no blanks.
  return { ...proxies, ...Object.fromEntries(DIRECT.map((name) => [name, direct.join(',')])) };
}

/** Most programs accept `proxy:3128`; some accept only URLs. */
const withScheme = (proxy: string) => (/^[a-z0-9+.-]+:\/\//i.test(proxy) ? proxy : `http://${proxy}`);

/**
 * Cleans this process's own environment in the same way, for libraries that read it themselves (pg, gRPC),
 * and sends outside calls through the proxies, if any.
 * @param own the result of `childEnvironment`.
 */
export function useOwnEnvironment(
  environment: Record<string, string | undefined>,
  own: Record<string, string>,
): void {
  for (const name of Object.keys(environment)) {
    if (MISLEADING.test(name) || [...PROXIES, ...DIRECT].includes(name)) delete environment[name];
  }
  const proxied = Object.fromEntries([...PROXIES, ...DIRECT].flatMap((name) => pairFor(own, name)));
  Object.assign(environment, proxied);
  // Node supports no other kind of proxy.
  const understood = Object.entries(proxied).filter(
    ([name, value]) => DIRECT.includes(name) || isHttp(value),
  );
  if (understood.some(([name]) => PROXIES.includes(name)))
    http.setGlobalProxyFromEnv(Object.fromEntries(understood));
}

const pairFor = (own: Record<string, string>, name: string): [string, string][] =>
  own[name] === undefined ? [] : [[name, own[name]]];
const isHttp = (proxy: string) => /^https?:\/\//i.test(proxy) && URL.canParse(proxy);

/** Returns the notice about variables that would divert connections to Postgres; they are ignored. */
export function postgresNotice(environment: Readonly<Record<string, string | undefined>>): string[] {
  const names = Object.keys(environment).filter((name) => /^PG[A-Z]+$/.test(name) && environment[name]);
  if (names.length === 0) return [];
  return [`${names.sort().join(', ')}: ignored. Only DATABASE_URL says how to reach Postgres.`];
}

/**
 * Checks the folder for temporary files, chosen as Node and Python choose it. Otherwise the first order would
 * run into a missing folder.
 */
function checkTemporaryFolder(reader: EnvironmentReader): void {
  const name = ['TMPDIR', 'TMP', 'TEMP'].find((variable) => reader.text(variable) !== undefined);
  if (name === undefined) return;
  try {
    const folder = reader.pick([name])[name]!;
    // Not `join`, which strips the dot; with the dot, a plain file is not accepted as a folder.
    accessSync(`${folder}/.`, constants.W_OK | constants.X_OK);
  } catch {
    reader.problems.push(`${name} must name an existing, writable folder, or be unset`);
  }
}
