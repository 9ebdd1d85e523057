import type { Secret } from '../secret.ts';
import type { EnvironmentReader } from './environment-reader.ts';
import { passphrase } from './fields.ts';

const NAME = 'PULUMI_CONFIG_PASSPHRASE';
const BEFORE = 'PULUMI_CONFIG_PASSPHRASE_BEFORE';

/** Reads the passphrase, and the one that it replaces while it changes; problems go to the reader. */
export function readPassphrases(reader: EnvironmentReader): {
  passphrase: Secret | undefined;
  passphraseBefore: Secret | undefined;
} {
  const present = reader.exactSecret(NAME, passphrase);
  const before = reader.exactSecret(BEFORE, passphrase);
  if (before === undefined) return { passphrase: present, passphraseBefore: undefined };
  if (present === undefined) reader.problems.push(`${BEFORE} needs ${NAME}: the passphrase that replaces it`);
  const backend = reader.text('PULUMI_BACKEND_URL');
  if (backend !== undefined && !/^postgres(ql)?:/.test(backend))
    reader.problems.push(`${BEFORE} needs a Postgres backend: only there does the state move by itself`);
  const isSame = present?.reveal() === before.reveal();
  return { passphrase: present, passphraseBefore: isSame ? undefined : before };
}
