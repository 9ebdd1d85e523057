import { exchange } from '../http.ts';
import { isRecord, type Properties } from '../values.ts';
import { parseGoDuration, pause } from '../waiting.ts';

/** A request that the Hetzner Cloud API rejected, or an action that failed. */
export class HcloudError extends Error {
  override readonly name = 'HcloudError';
  /** The API's error code, such as `uniqueness_error`; empty if the answer had none. */
  readonly code: string;
  /** HTTP status of the answer; 0 if an action failed. */
  readonly status: number;

  constructor(message: string, code: string, status: number) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

export interface HcloudSettings {
  token: string;
  endpoint: string;
  /** Milliseconds between polls of an action; undefined: short at first, growing to two seconds. */
  pollIntervalMs?: number;
  /** The first pause before a retry; doubles up to a minute. The official client uses one second. */
  retryBaseMs?: number;
}

export interface Action {
  id: number;
  status: string;
  error?: { code: string; message: string } | null;
}

export interface HcloudClient {
  /** Sends one request, with the official client's retries. @returns the answer's JSON, `{}` if empty */
  request(
    method: string,
    path: string,
    body: Properties | undefined,
    signal: AbortSignal,
  ): Promise<Properties>;
  /** Like `request` with GET; undefined for a 404. */
  find(path: string, signal: AbortSignal): Promise<Properties | undefined>;
  /** Waits until all actions have succeeded. @throws the first failed one's error */
  wait(actions: readonly unknown[], signal: AbortSignal): Promise<void>;
}

const MAX_RETRIES = 5;
const RETRIED_CODES = new Set(['conflict', 'rate_limit_exceeded', 'timeout']);

/** Reads the settings as the official provider does. @throws Error for a missing or malformed token */
export function hcloudSettings(
  environment: Readonly<Record<string, string>>,
  config: Properties,
): HcloudSettings {
  const token = text(config.token) ?? environment.HCLOUD_TOKEN;
  if (!token) throw new Error('Missing Hetzner Cloud API token: set HCLOUD_TOKEN or hcloud:token');
  if (token.length !== 64) throw new Error('entered token is invalid (must be exactly 64 characters long)');
  const endpoint = text(config.endpoint) ?? environment.HCLOUD_ENDPOINT ?? 'https://api.hetzner.cloud/v1';
  const interval = text(config.pollInterval) ?? environment.HCLOUD_POLL_INTERVAL;
  const pollIntervalMs = interval === undefined ? undefined : parseGoDuration(interval);
  return {
    token,
    endpoint: endpoint.replace(/\/$/, ''),
    ...(pollIntervalMs === undefined ? {} : { pollIntervalMs }),
  };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function createHcloudClient(settings: HcloudSettings): HcloudClient {
  const request: HcloudClient['request'] = async (method, path, body, signal) => {
    for (let retries = 0; ; retries++) {
      try {
        return await send(settings, method, path, body, signal);
      } catch (error) {
        if (retries >= MAX_RETRIES || !isRetried(error, signal)) throw error;
        await pause(retryDelay(settings.retryBaseMs ?? 1000, retries), signal);
      }
    }
  };
  const find: HcloudClient['find'] = async (path, signal) => {
    try {
      return await request('GET', path, undefined, signal);
    } catch (error) {
      if (error instanceof HcloudError && error.code === 'not_found') return undefined;
      throw error;
    }
  };
  return { request, find, wait: (actions, signal) => waitForActions(request, settings, actions, signal) };
}

function isRetried(error: unknown, signal: AbortSignal): boolean {
  if (signal.aborted || !(error instanceof HcloudError)) return false;
  if (error.code !== '') return RETRIED_CODES.has(error.code);
  return error.status === 502 || error.status === 504;
}

function retryDelay(baseMs: number, retries: number): number {
  const ceiling = Math.min(60_000, baseMs * 2 ** retries);
  return baseMs + Math.random() * (ceiling - baseMs);
}

async function send(
  settings: HcloudSettings,
  method: string,
  path: string,
  body: Properties | undefined,
  signal: AbortSignal,
): Promise<Properties> {
  const headers = { authorization: `Bearer ${settings.token}` };
  const answer = await exchange(method, `${settings.endpoint}${path}`, { headers, json: body }, signal);
  if (answer.ok) return answer.json ?? {};
  throw refusal(answer.status, answer.headers['x-correlation-id']?.toString(), answer.json);
}

/** Formats the error as the official client does: `message (code, correlation id)`. */
function refusal(
  status: number,
  correlationId: string | undefined,
  json: Properties | undefined,
): HcloudError {
  const error = isRecord(json?.error) ? json.error : {};
  if (!error.code && !error.message) {
    return new HcloudError(`hcloud: server responded with status code ${status}`, '', status);
  }
  const code = String(error.code ?? '');
  const detail = correlationId ? `${code}, ${correlationId}` : code;
  const fields = code === 'invalid_input' ? invalidFields(error.details) : '';
  return new HcloudError(`${error.message} (${detail})${fields}`, code, status);
}

function invalidFields(details: unknown): string {
  const fields = isRecord(details) && Array.isArray(details.fields) ? details.fields : [];
  const lines = fields.map((field) => `${field.name} => [${(field.messages ?? []).join(' ')}]`);
  return lines.length === 0 ? '' : `: [${lines.join(' ')}]`;
}

async function waitForActions(
  request: HcloudClient['request'],
  settings: HcloudSettings,
  actions: readonly unknown[],
  signal: AbortSignal,
): Promise<void> {
  let running = actions.filter(isAction).filter(isRunning);
  for (let looks = 0; running.length > 0; looks++) {
    await pause(settings.pollIntervalMs ?? Math.min(2000, 100 * 1.5 ** looks), signal);
    const query = running.map(({ id }) => `id=${id}`).join('&');
    const answer = await request(
      'GET',
      `/actions?${query}&sort=status&sort=id&page=1&per_page=50`,
      undefined,
      signal,
    );
    const found = (Array.isArray(answer.actions) ? answer.actions : []).filter(isAction);
    const missing = running.filter(({ id }) => !found.some((action) => action.id === id));
    if (missing.length > 0) throw new Error(`actions not found: [${missing.map(({ id }) => id).join(' ')}]`);
    running = found.filter(isRunning);
  }
}

function isAction(value: unknown): value is Action {
  return isRecord(value) && typeof value.id === 'number';
}

function isRunning(action: Action): boolean {
  if (action.status !== 'error') return action.status === 'running';
  const { message, code } = action.error ?? { message: 'action failed', code: 'action_failed' };
  throw new HcloudError(`${message} (${code}, ${action.id})`, code, 0);
}

/** Runs `work`, and prefixes its errors with `hcloud/<operation>: `. */
export async function named<Result>(operation: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof HcloudError) {
      throw new HcloudError(`hcloud/${operation}: ${error.message}`, error.code, error.status);
    }
    throw error;
  }
}
