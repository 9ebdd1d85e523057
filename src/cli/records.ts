import { noticeJson } from '../http/notice-json.ts';
import type { BuiltinCommand } from './arguments.ts';
import { all } from './lists.ts';
import { printJson, type Terminal } from './operations.ts';
import { table } from './table.ts';

/** Lists notices with their deliveries, newest first. */
export async function notices(
  { agentId, json }: Extract<BuiltinCommand, { name: 'notices' }>,
  terminal: Terminal,
): Promise<boolean> {
  const query = agentId === undefined ? {} : { agentId };
  const found = await all(terminal.client, '/api/notices', query, noticeJson);
  if (json) return printJson(terminal, found);
  const rows = found.flatMap((notice) => {
    const head = [notice.at.slice(0, 19), notice.type, notice.agentId];
    if (notice.deliveries.length === 0) return [[...head, null, null, null, null]];
    return notice.deliveries.map(({ receiver, status, attempts, error }) => [
      ...head,
      receiver,
      status,
      String(attempts),
      error,
    ]);
  });
  terminal.print(table(['AT', 'TYPE', 'AGENT', 'RECEIVER', 'STATUS', 'ATTEMPTS', 'ERROR'], rows));
  return true;
}
