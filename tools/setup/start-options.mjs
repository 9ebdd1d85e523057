import { parseArgs } from 'node:util';

/**
 * Returns what is wrong with the options of `npm start`, or `null`. Checked before the set-up, which may take
 * minutes.
 * @param {string[]} args
 * @returns {string | null}
 */
export function startOptionsProblem(args) {
  const usage = 'Usage: npm start -- [--role all|api|worker|migrate]';
  try {
    const { values } = parseArgs({ args, options: { role: { type: 'string' }, help: { type: 'boolean' } } });
    if (values.help) return usage;
    if (values.role === undefined || ['all', 'api', 'worker', 'migrate'].includes(values.role)) return null;
    return `Unknown role: ${values.role}\n${usage}`;
  } catch (error) {
    return `${/** @type {Error} */ (error).message}\n${usage}`;
  }
}
