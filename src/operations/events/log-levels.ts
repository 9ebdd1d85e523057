/** What a line of a log is: most say that something goes on. */
export const LOG_LEVELS = ['error', 'warning', 'info'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * How lines begin or end that are no mere progress: the engine's diagnostics, resources that failed,
 * Ansible's tasks. Written so that JavaScript and Postgres understand them alike.
 */
export const LEVEL_PATTERNS = {
  error: '^(error|fatal):|: failed( \\([0-9.]+ s\\))?$|: the server cannot be reached \\(',
  warning: '^(warning:|…)|: (failed, ignored|not yet, try [0-9]+) \\([0-9.]+ s\\)$|: replacing it$',
} as const;

/**
 * What errors and warnings are like: the condition of the index `operation_events_notable`, word for word,
 * because Postgres uses it only then.
 */
export const NOTABLE = `(data ->> 'line') like any (array['error:%', 'fatal:%', '%: failed%',
  '%: the server cannot be reached (%', 'warning:%', '…%', '%: not yet, try %', '%: replacing it'])`;

const ERROR = new RegExp(LEVEL_PATTERNS.error);
const WARNING = new RegExp(LEVEL_PATTERNS.warning);

/** Of a line as it is stored. */
export function levelOf(line: string): LogLevel {
  if (ERROR.test(line)) return 'error';
  return WARNING.test(line) ? 'warning' : 'info';
}
