/**
 * Every step that this version names; a test compares them with the runbooks. A runner that implements only
 * the callback contract may report steps in words of its own, which people are shown and nothing else.
 */
export const STEPS = [
  'received',
  'queued',
  'preparing',
  'creating_server',
  'joining_network',
  'configuring',
  'verifying',
  'running',
  'handing_over',
  'adopting',
  'importing',
  'awaiting_access',
  'marking_server',
  'giving_server_back',
  'starting_server',
  'stopping_server',
  'resizing_server',
  'reinstalling_server',
  'renewing_key',
  'refreshing',
  'creating_snapshot',
  'deleting_server',
  'removing_snapshot',
  'removing_device',
  'deleting_resources',
  'removing_state',
  'switching_off',
  'making_snapshot',
  'deleting_snapshots',
  'waiting_to_retry',
  'finished',
] as const;

const OTHER = 'other';

/**
 * The step as a label of metrics and traces, which must not take what a foreign runner writes: each text
 * would be a series of its own.
 */
export function stepLabel(step: string): string {
  return (STEPS as readonly string[]).includes(step) ? step : OTHER;
}
