import { type Logger, pino } from 'pino';

export type Log = Logger;

/** The most that an error or a foreign answer adds to a line; a stack trace has about 2,000 characters. */
const LONGEST_TEXT = 8_000;

/** An operation's trace is named after it: every process knows the id, whoever handed it the work. */
export function traceIdFor(operationId: string): string {
  return operationId.replaceAll('-', '').toLowerCase();
}

/**
 * Creates a structured log: one JSON line an event, to standard error or a file. Ids are fields; secrets are
 * never passed in. A line about an operation also names its trace.
 */
export function createLog(destination: string | number = 2): Log {
  return pino(
    {
      level: 'info',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => bounded(withTrace(fields)),
        bindings: withTrace,
      },
      serializers: { err: (error: Error) => bounded(pino.stdSerializers.err(error)) },
    },
    pino.destination({ dest: destination, sync: true, mkdir: true, mode: 0o600 }),
  );
}

function withTrace<Fields extends object>(fields: Fields): Fields & { traceId?: string } {
  const operationId = 'operationId' in fields ? fields.operationId : undefined;
  return typeof operationId === 'string' ? { ...fields, traceId: traceIdFor(operationId) } : fields;
}

/** Returns the fields with long texts cut. */
function bounded(fields: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === 'string' ? shortened(withoutSessions(value), LONGEST_TEXT) : value,
    ]),
  );
}

/**
 * Cuts the ids of checkout sessions to 12 characters, which Stripe's dashboard finds: a whole one opens a
 * buyer's page.
 */
function withoutSessions(text: string): string {
  return text.replaceAll(/\bcs_[A-Za-z0-9_]{10,}/g, (id) => `${id.slice(0, 12)}…`);
}

/** Cuts a text to `longest` characters and says how many are missing. */
export function shortened(text: string, longest: number): string {
  if (text.length <= longest) return text;
  return `${text.slice(0, longest)}… (${text.length - longest} more characters)`;
}
