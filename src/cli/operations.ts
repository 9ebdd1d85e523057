import { type OperationJson, operationJson } from '../http/operations/operation-json.ts';
import { printable, printableLines } from '../processes/terminal-text.mjs';
import { operationEvents } from './event-source.ts';
import { table } from './table.ts';
import { printJson, type Terminal } from './terminal.ts';

/** Requests an operation. With `--wait`, follows it until it finishes. @returns whether it succeeded */
export async function request(
  { json, wait }: { json: boolean; wait: boolean },
  terminal: Terminal,
  path: string,
  body?: object,
): Promise<boolean> {
  return follow(await terminal.client.post(path, operationJson, body), { json, wait }, terminal);
}

/** Says that an operation was accepted. With `--wait`, follows it instead. @returns whether it succeeded */
export async function follow(
  operation: OperationJson,
  { json, wait }: { json: boolean; wait: boolean },
  terminal: Terminal,
): Promise<boolean> {
  if (!wait) {
    if (json) return printJson(terminal, operation);
    terminal.print(
      `${operation.kind} of agent ${operation.agentId}: ${operation.status} (operation ${operation.operationId})`,
    );
    return true;
  }
  const ended = await printEvents(terminal, operation, { follow: true, json });
  return ended.status === 'succeeded';
}

/**
 * Prints an operation's events, and finally its steps with their durations.
 * @returns the operation as it is at the end
 */
export async function printEvents(
  terminal: Terminal,
  operation: OperationJson,
  { follow, json }: { follow: boolean; json: boolean },
): Promise<OperationJson> {
  const { client, print } = terminal;
  if (!json) print(`${operation.kind} of agent ${operation.agentId}, operation ${operation.operationId}`);
  for await (const { event, data } of operationEvents(client, operation.operationId, follow)) {
    // Skip the timeline's end marker: the final status that follows says more.
    if (!json && event === 'step' && data.step === 'finished') continue;
    if (json) print(JSON.stringify({ event, ...data }));
    else print(`${seconds(operation.createdAt, String(data.at)).padStart(8)} s  ${describe(event, data)}`);
  }
  const now = await client.get(`/api/operations/${operation.operationId}`, operationJson);
  if (!json) printTimeline(terminal, now);
  return now;
}

function describe(event: string, data: Record<string, unknown>): string {
  switch (event) {
    case 'step':
      return `▸ ${printable(String(data.step))}`;
    case 'log':
      return `  ${printable(String(data.line))}`;
    default: {
      const attempt = Number(data.attempt) > 1 ? `, attempt ${data.attempt}` : '';
      const error = data.error === undefined ? '' : `: ${printable(String(data.error))}`;
      return `${printable(String(data.status))}${attempt}${error}`;
    }
  }
}

export function printTimeline({ print }: Terminal, operation: OperationJson): void {
  print('');
  const rows = operation.timeline
    .filter((entry) => entry.step !== 'finished')
    .map((entry) => [entry.step, entry.seconds === null ? 'in progress' : `${entry.seconds.toFixed(1)} s`]);
  const total = operation.finishedAt && `${seconds(operation.createdAt, operation.finishedAt)} s`;
  print(table(['STEP', 'TOOK'], [...rows, [`${operation.kind} ${operation.status}`, total]]));
  if (operation.error !== null && operation.status !== 'succeeded')
    print(printableLines(operation.error, '  '));
}

export function seconds(from: string, to: string): string {
  return Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000).toFixed(1);
}
