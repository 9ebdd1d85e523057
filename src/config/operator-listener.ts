import type { EnvironmentReader } from './environment-reader.ts';
import { hostName, httpUrl, port } from './fields.ts';

/** Where dashboard and API listen, apart from webhooks, health and buyers' pages. */
export interface OperatorListener {
  host: string;
  port: number;
  /** How people reach it, without a trailing slash. */
  url: string;
}

/** Undefined without OPERATOR_PORT: everything is on one listener. */
export function readOperatorListener(
  reader: EnvironmentReader,
  webhooks: { host: string; port: number },
): OperatorListener | undefined {
  const listenPort = reader.read('OPERATOR_PORT', port);
  const host = reader.read('OPERATOR_HOST', hostName) ?? '127.0.0.1';
  const url = reader.read('OPERATOR_URL', httpUrl) ?? addressOf(host, listenPort ?? 0);
  if (listenPort === undefined) {
    for (const name of ['OPERATOR_HOST', 'OPERATOR_URL'])
      if (reader.text('OPERATOR_PORT') === undefined && reader.text(name) !== undefined)
        reader.problems.push(
          `${name} needs OPERATOR_PORT, which gives dashboard and API a listener of their own`,
        );
    return undefined;
  }
  if (listenPort !== 0 && listenPort === webhooks.port)
    reader.problems.push('OPERATOR_PORT must differ from PORT: webhooks and buyers’ pages stay there');
  return { host, port: listenPort, url: url.replace(/\/+$/, '') };
}

/** The address of a listener that no variable gives another. */
export function addressOf(host: string, listenPort: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${listenPort}`;
}

/**
 * Where the operator's commands find it: as the service itself would. Undefined: together with the webhooks.
 */
export function readOperatorUrl(reader: EnvironmentReader): string | undefined {
  const url = reader.read('OPERATOR_URL', httpUrl)?.replace(/\/+$/, '');
  const listenPort = reader.read('OPERATOR_PORT', port);
  if (url !== undefined || listenPort === undefined || listenPort === 0) return url;
  return addressOf(reader.read('OPERATOR_HOST', hostName) ?? '127.0.0.1', listenPort);
}
