import { type Logger, pino } from 'pino';

export type Log = Logger;

/** Structured log, a JSON line an event, to standard error or a file. Ids are fields; secrets are never handed in. */
export function createLog(destination: string | number = 2): Log {
  return pino(
    {
      level: 'info',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: destination, sync: true, mkdir: true, mode: 0o600 }),
  );
}
