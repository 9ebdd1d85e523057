import type { ActionContext, ServerAction } from './actions.ts';
import { detour, type Phase, transition } from './phases.ts';

/** The actions that need no body: switching on and off. */
export const powerActions: Record<string, ServerAction> = {
  poweron: { command: 'start_server', run: (context) => switchOn(context) },
  poweroff: { command: 'stop_server', run: (context) => switchOff(context) },
  shutdown: { command: 'shutdown_server', run: (context) => switchOff(context) },
  reboot: { command: 'reboot_server', run: (context) => restart(context) },
  reset: { command: 'reset_server', run: (context) => restart(context) },
};

function switchOn(context: ActionContext): Phase[] {
  if (context.status === 'running') return stay(context);
  if (context.fails) return detour(context.status, 'starting', ...times(context));
  return transition(context.status, 'starting', 'running', ...times(context));
}

function switchOff(context: ActionContext): Phase[] {
  if (context.status === 'off') return stay(context);
  if (context.fails) return detour(context.status, 'stopping', ...times(context));
  return transition(context.status, 'stopping', 'off', ...times(context));
}

/** A server that is off stays off. */
function restart(context: ActionContext): Phase[] {
  return context.status === 'off' ? stay(context) : detour(context.status, 'starting', ...times(context));
}

/** A course in which nothing happens to the status. */
export function stay({ status, now }: ActionContext): Phase[] {
  return [{ status, fromMs: now.getTime() }];
}

/** When it begins and how long it takes, both in milliseconds. */
export function times({ now, finishesAt }: ActionContext): [nowMs: number, lengthMs: number] {
  return [now.getTime(), finishesAt.getTime() - now.getTime()];
}
