import { type Logger, pino } from 'pino';

export type Log = Logger;

/** What an error or an answer from elsewhere may add to one line; a stack has about 2,000 characters. */
const LONGEST_TEXT = 8_000;

/** Structured log, a JSON line an event, to standard error or a file. Ids are fields; secrets are never handed in. */
export function createLog(destination: string | number = 2): Log {
  return pino(
    {
      level: 'info',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: bounded },
      serializers: { err: (error: Error) => bounded(pino.stdSerializers.err(error)) },
    },
    pino.destination({ dest: destination, sync: true, mkdir: true, mode: 0o600 }),
  );
}

/** Its texts, cut where they are long. */
function bounded(fields: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === 'string' ? shortened(value, LONGEST_TEXT) : value,
    ]),
  );
}

/** The text's beginning and how much is missing, where it is longer than that many characters. */
export function shortened(text: string, longest: number): string {
  if (text.length <= longest) return text;
  return `${text.slice(0, longest)}… (${text.length - longest} more characters)`;
}
