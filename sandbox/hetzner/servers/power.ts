import type { ActionContext, ServerAction } from './actions.ts';
import { detour, type Phase, transition } from './phases.ts';

/** The power actions, which need no body. */
export const POWER_ACTIONS: Record<string, ServerAction> = {
  poweron: { command: 'start_server', run: switchOn },
  poweroff: { command: 'stop_server', run: (context) => switchOff(context, 'hard') },
  shutdown: { command: 'shutdown_server', run: (context) => switchOff(context, 'soft') },
  reboot: { command: 'reboot_server', run: (context) => restart(context, 'soft') },
  reset: { command: 'reset_server', run: (context) => restart(context, 'hard') },
};

/** Soft: a shutdown; hard: a power cut. */
type StopMode = 'soft' | 'hard';

async function switchOn(context: ActionContext): Promise<Phase[]> {
  if (context.status === 'running') return stay(context);
  if (context.fails) return detour(context.status, 'starting', ...times(context));
  await countStart(context);
  return transition(context.status, 'starting', 'running', ...times(context));
}

async function switchOff(context: ActionContext, mode: StopMode): Promise<Phase[]> {
  if (context.status === 'off') return stay(context);
  if (context.fails) return detour(context.status, 'stopping', ...times(context));
  await setStopMode(context, mode);
  if (mode === 'soft' && context.realMachines) return [{ status: 'stopping', fromMs: context.now.getTime() }];
  return transition(context.status, 'stopping', 'off', ...times(context));
}

/** A server that is off stays off. */
async function restart(context: ActionContext, mode: StopMode): Promise<Phase[]> {
  if (context.status === 'off') return stay(context);
  if (!context.fails) {
    await setStopMode(context, mode);
    await countStart(context);
  }
  return detour(context.status, 'starting', ...times(context));
}

/** Counts a start, so that a real machine that runs now belongs to an earlier one. */
export async function countStart({ trx, server }: ActionContext): Promise<void> {
  await trx
    .updateTable('hetzner_servers')
    .set((eb) => ({ boots: eb('boots', '+', 1) }))
    .where('id', '=', server.id)
    .execute();
}

async function setStopMode({ trx, server }: ActionContext, mode: StopMode): Promise<void> {
  await trx
    .updateTable('hetzner_servers')
    .set({ stops_softly: mode === 'soft' })
    .where('id', '=', server.id)
    .execute();
}

/** Leaves the status as it is. */
export function stay({ status, now }: ActionContext): Phase[] {
  return [{ status, fromMs: now.getTime() }];
}

/** Returns when the action begins and how long it takes, both in milliseconds. */
export function times({ now, finishesAt }: ActionContext): [nowMs: number, lengthMs: number] {
  return [now.getTime(), finishesAt.getTime() - now.getTime()];
}
