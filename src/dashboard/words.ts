const STEPS: Record<string, string> = {
  received: 'Taking the order',
  queued: 'Waiting in line',
  creating_server: 'Creating the server',
  joining_network: 'Joining the private network',
  configuring: 'Configuring',
  verifying: 'Verifying',
  running: 'Running',
  stopping_server: 'Shutting down the server',
  starting_server: 'Starting the server',
  resizing_server: 'Resizing the server',
  refreshing: 'Refreshing the stack’s state',
  preparing: 'Preparing',
  renewing_key: 'Renewing the key for the private network',
  reinstalling_server: 'Reinstalling the server',
  creating_snapshot: 'Keeping a snapshot of the disk',
  deleting_server: 'Deleting the server',
  removing_snapshot: 'Removing the snapshot',
  importing: 'Taking over what exists',
  waiting_to_retry: 'Waiting to retry',
};

/** Returns the display text of a step. A step that a runner made up is shown in its own words. */
export function stepWords(step: string): string {
  return (Object.hasOwn(STEPS, step) ? STEPS[step] : undefined) ?? capitalized(step.replaceAll('_', ' '));
}

const SHOWN_LENGTH = 140;

/** The beginning of a text, as lists show it. */
export function firstLine(text: string): string {
  const [line = ''] = text.split('\n');
  return line.length > SHOWN_LENGTH ? `${line.slice(0, SHOWN_LENGTH)}…` : line;
}

export function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Formats a duration: `4.2 s`, `38 s`, `2 min 05 s`. */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
}

/** Formats the time since `isoTime` in the largest unit that fits. */
export function age(isoTime: string, now = Date.now()): string {
  const seconds = Math.max(0, (now - Date.parse(isoTime)) / 1000);
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} days`;
}

/** Formats a length of time that may be days: `4.2 s`, `2 min 05 s`, `3 h 20 min`, `12 days`. */
export function span(seconds: number): string {
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return duration(seconds);
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
  return `${Math.floor(minutes / 1440)} days`;
}
