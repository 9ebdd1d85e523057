import { readFileSync } from 'node:fs';
import { renderJoinScript } from '../../../stacks/user-data.ts';
import { KERNEL_SETTINGS, OWN_PATHS, SHARED_PATHS } from './what-it-writes.ts';

/** What a server that was made by hand needs to join, and to be recognised there. Holds secrets. */
export interface Joining {
  joinName: string;
  tailnetKey: string;
  loginServer: string | undefined;
  healthPort: number;
  hostPrivateKey: string;
  hostPublicKey: string;
}

const read = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');

/** The script that its owner runs on the server, as root. It has no secret in it. */
export const renderAccessScript = (publicKey: string): string =>
  `${assign({ OPS_KEY: publicKey })}${read('./let-ops-in.sh')}`;

/** Prepares the server and joins it. For standard input only. */
export function renderAdmission(joining: Joining): string {
  const { joinName, healthPort, hostPrivateKey, hostPublicKey } = joining;
  const variables = {
    JOIN_NAME: joinName,
    HEALTH_PORT: String(healthPort),
    HOST_PRIVATE_KEY: hostPrivateKey.trim(),
    HOST_PUBLIC_KEY: hostPublicKey.trim(),
    OWN_PATHS: OWN_PATHS.join(' '),
    SHARED_PATHS: SHARED_PATHS.join(' '),
    KERNEL_SETTINGS: KERNEL_SETTINGS.join(' '),
  };
  return `${assign(variables)}${read('./admit.sh')}${renderJoinScript(joining, MARK_LOGIN)}`;
}

/** A package that was just installed may have found a login; undo.sh ends only one that has this mark. */
const MARK_LOGIN = `check_login
printf '%s\\n' "$JOIN_NAME" >"$before/joined"
`;

export const renderUndo = (): string => read('./undo.sh');

function assign(variables: Record<string, string>): string {
  return Object.entries(variables)
    .map(([name, value]) => `${name}='${value.replaceAll("'", `'\\''`)}'\n`)
    .join('');
}
