import type { ApiClient, Schema } from '../../client/client.ts';
import type { OperationJson } from '../http/operations/operation-json.ts';
import { printable, printableLines } from '../processes/terminal-text.mjs';
import { operationEvents } from './event-source.ts';
import { answer, printJson, printTable, type Terminal } from './terminal.ts';

/**
 * Requests an operation of a kind that is known only at run time, which is why its route has the type of
 * another.
 */
export function postOperation(
  api: ApiClient,
  { kind, agentId, body }: { kind: string; agentId: string; body: object },
): Promise<Schema<'Operation'>> {
  const path = `/api/agents/{agentId}/${kind}` as '/api/agents/{agentId}/stop';
  return answer(api.POST(path, { params: { path: { agentId } }, body: body as Record<string, never> }));
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
  const { api, print } = terminal;
  if (!json) print(`${operation.kind} of agent ${operation.agentId}, operation ${operation.operationId}`);
  for await (const { event, data } of operationEvents(api, operation.operationId, follow)) {
    // Skip the timeline's end marker: the final status that follows says more.
    if (!json && event === 'step' && data.step === 'finished') continue;
    if (json) print(JSON.stringify({ event, ...data }));
    else print(`${seconds(operation.createdAt, String(data.at)).padStart(8)} s  ${describe(event, data)}`);
  }
  const path = { operationId: operation.operationId };
  const now = await answer(api.GET('/api/operations/{operationId}', { params: { path } }));
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

export function printTimeline(terminal: Terminal, operation: OperationJson): void {
  const { print } = terminal;
  print('');
  const rows = operation.timeline
    .filter((entry) => entry.step !== 'finished')
    .map((entry) => [entry.step, entry.seconds === null ? 'in progress' : `${entry.seconds.toFixed(1)} s`]);
  const total = operation.finishedAt && `${seconds(operation.createdAt, operation.finishedAt)} s`;
  printTable(terminal, ['STEP', 'TOOK'], [...rows, [`${operation.kind} ${operation.status}`, total]]);
  if (operation.error !== null && operation.status !== 'succeeded')
    print(printableLines(operation.error, '  '));
}

export function seconds(from: string, to: string): string {
  return Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000).toFixed(1);
}
