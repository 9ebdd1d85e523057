import type { z } from 'zod';
import { invalidRequest, type StripeError } from './errors.ts';

type Issue = z.core.$ZodIssue;

/** Parses a form or a query. @throws StripeError 400 that names the parameter, as Stripe does */
export function parseParameters<T>(schema: z.ZodType<T>, input: unknown): T {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(findDeepest);
  throw unknownParameters(issues) ?? toError(issues[0]!, input);
}

/** Returns the issue with the intended form of a parameter that has several forms. */
function findDeepest(issue: Issue): Issue {
  if (issue.code !== 'invalid_union') return issue;
  const forms = issue.errors.filter((form) => form.length > 0);
  const meant = forms.find((form) => form.some(saysMoreThanType)) ?? forms.at(-1);
  const found = meant?.find((inner) => inner.code === 'unrecognized_keys') ?? meant?.[0];
  return found === undefined ? issue : findDeepest({ ...found, path: [...issue.path, ...found.path] });
}

function saysMoreThanType(issue: Issue): boolean {
  return issue.path.length > 0 || issue.code === 'unrecognized_keys';
}

function unknownParameters(issues: readonly Issue[]): StripeError | undefined {
  const names = issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' ? issue.keys.map((key) => toParameterName([...issue.path, key])) : [],
  );
  if (names.length === 0) return undefined;
  const message = `Received unknown parameter${names.length > 1 ? 's' : ''}: ${names.join(', ')}`;
  return invalidRequest(message, { code: 'parameter_unknown', param: names[0]! });
}

function toError(issue: Issue, input: unknown): StripeError {
  const param = toParameterName(issue.path);
  const value = valueAt(input, issue.path);
  if (value === undefined)
    return invalidRequest(`Missing required param: ${param}.`, { code: 'parameter_missing', param });
  if (value === '')
    return invalidRequest(
      `You passed an empty string for '${param}'. We assume empty values are an attempt to unset a parameter; however '${param}' cannot be unset. You should remove '${param}' from your request or supply a non-empty value.`,
      { code: 'parameter_invalid_empty', param },
    );
  return describe(issue, param, value);
}

function describe(issue: Issue, param: string, value: unknown): StripeError {
  const shown = typeof value === 'string' ? value : JSON.stringify(value);
  if (issue.message === 'integer')
    return invalidRequest(`Invalid integer: ${shown}`, { code: 'parameter_invalid_integer', param });
  if (issue.message === 'boolean') return invalidRequest(`Invalid boolean: ${shown}`, { param });
  if (issue.code === 'too_big' && issue.origin === 'number')
    return outOfRange(`This value must be less than or equal to ${issue.maximum}.`, param);
  if (issue.code === 'too_small' && issue.origin === 'number')
    return outOfRange(`This value must be greater than or equal to ${issue.minimum}.`, param);
  if (issue.code === 'invalid_type')
    return invalidRequest(`Invalid ${issue.expected === 'record' ? 'object' : issue.expected}`, { param });
  if (issue.code === 'invalid_value')
    return invalidRequest(`Invalid ${param}: must be one of ${toChoices(issue.values)}`, { param });
  return invalidRequest(`Invalid ${param}: ${issue.message}`, { param });
}

function outOfRange(message: string, param: string): StripeError {
  return invalidRequest(message, { code: 'parameter_invalid_integer', param });
}

function toChoices(values: readonly unknown[]): string {
  const names = values.map(String);
  if (names.length < 3) return names.join(' or ');
  return `${names.slice(0, -1).join(', ')}, or ${names.at(-1)}`;
}

/** Returns a name such as `line_items[0][price]`. */
function toParameterName([first, ...rest]: readonly PropertyKey[]): string {
  return String(first ?? '') + rest.map((part) => `[${String(part)}]`).join('');
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, part) => (typeof value === 'object' && value !== null ? Reflect.get(value, part) : undefined),
    input,
  );
}
