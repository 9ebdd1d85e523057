import type { ActionContext, ServerAction } from './actions.ts';
import { detour, type Phase, transition } from './phases.ts';

/** The actions that need no body: switching on and off. */
export const powerActions: Record<string, ServerAction> = {
  poweron: { command: 'start_server', run: switchOn },
  poweroff: { command: 'stop_server', run: (context) => switchOff(context, 'hard') },
  shutdown: { command: 'shutdown_server', run: (context) => switchOff(context, 'soft') },
  reboot: { command: 'reboot_server', run: (context) => restart(context, 'soft') },
  reset: { command: 'reset_server', run: (context) => restart(context, 'hard') },
};

/** Whether the system is asked to stop, or its power is cut. */
type Way = 'soft' | 'hard';

async function switchOn(context: ActionContext): Promise<Phase[]> {
  if (context.status === 'running') return stay(context);
  if (context.fails) return detour(context.status, 'starting', ...times(context));
  await askToStart(context);
  return transition(context.status, 'starting', 'running', ...times(context));
}

async function switchOff(context: ActionContext, way: Way): Promise<Phase[]> {
  if (context.status === 'off') return stay(context);
  if (context.fails) return detour(context.status, 'stopping', ...times(context));
  await setWay(context, way);
  if (way === 'soft' && context.realMachines) return [{ status: 'stopping', fromMs: context.now.getTime() }];
  return transition(context.status, 'stopping', 'off', ...times(context));
}

/** A server that is off stays off. */
async function restart(context: ActionContext, way: Way): Promise<Phase[]> {
  if (context.status === 'off') return stay(context);
  if (!context.fails) {
    await setWay(context, way);
    await askToStart(context);
  }
  return detour(context.status, 'starting', ...times(context));
}

/** A real machine that runs is of an earlier start from now on. */
export async function askToStart({ client, server }: ActionContext): Promise<void> {
  await client.query('UPDATE hetzner_servers SET boots = boots + 1 WHERE id = $1', [server.id]);
}

async function setWay({ client, server }: ActionContext, way: Way): Promise<void> {
  await client.query('UPDATE hetzner_servers SET stops_softly = $2 WHERE id = $1', [
    server.id,
    way === 'soft',
  ]);
}

/** A course in which nothing happens to the status. */
export function stay({ status, now }: ActionContext): Phase[] {
  return [{ status, fromMs: now.getTime() }];
}

/** When it begins and how long it takes, both in milliseconds. */
export function times({ now, finishesAt }: ActionContext): [nowMs: number, lengthMs: number] {
  return [now.getTime(), finishesAt.getTime() - now.getTime()];
}
