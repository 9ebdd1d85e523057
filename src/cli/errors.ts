import { errorMessage } from '../errors.ts';
import { RefusedError } from './connection.ts';

/**
 * What to print of an error, in the words of the command line: `--region`, where the service says
 * `body.region`. As JSON it has `message`, and of a refusal the problem's `type` and `status`.
 */
export function describeError(error: Error, asJson: boolean): string {
  const message = inOptions(errorMessage(error));
  if (!asJson) return message;
  const { type, status } = (error instanceof RefusedError && error.problem) || {};
  return JSON.stringify({ error: { message, ...(type && { type, status }) } });
}

/** Fields whose option has another name. */
const RENAMED: Record<string, string> = { q: '--search' };

function inOptions(message: string): string {
  return message.replace(
    /\b(?:body|query|form)\.([A-Za-z]\w*)/g,
    (_, field: string) => RENAMED[field] ?? toOption(field),
  );
}

const toOption = (field: string) => `--${field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
