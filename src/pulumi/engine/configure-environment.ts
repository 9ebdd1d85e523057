import { join } from 'node:path';
import { traceparentFor } from '../../telemetry/trace-context.ts';

/** The keys for the configuration run. */
export interface ConfigureKeys {
  sshPrivateKey: string;
  hostPublicKey: string;
  nextHostPublicKey: string;
  nextHostPrivateKey: string;
}

/** How ansible/configure is run. */
export interface ConfigureSettings {
  /** The script that the stack's command resource runs. */
  path: string;
  connection: 'ssh' | 'simulated';
  /** OpenSSH's `ProxyCommand`, through the controller's node on the tailnet. */
  proxyCommand?: string | undefined;
  ansibleBin: string | undefined;
  timeoutSeconds: number;
  /** Folder for the log files, one per attempt. */
  logDir: string;
  /**
   * Simulated machines: returns the file that says that the playbook, as it is now, has been checked.
   * Unset: every run checks it.
   */
  checkedFile?: (() => string) | undefined;
  /** Returns what names the process that has Ansible loaded. Unset: every run loads it. */
  prepared?: (() => Record<string, string>) | undefined;
  /** The agent's own software (src/config/software.ts). */
  software: Record<string, string>;
}

/**
 * Returns the input of ansible/configure as environment variables: no secret is an argument or in the state.
 */
export function configureEnvironment(
  configure: ConfigureSettings,
  attempt: { operation: { operation_id: string; attempt: number } },
  keys: ConfigureKeys | undefined,
): Record<string, string> {
  return {
    AGENT_STACKS_CONFIGURE: configure.path,
    AGENT_CONNECTION: configure.connection,
    ...(configure.proxyCommand === undefined ? {} : { AGENT_SSH_PROXY_COMMAND: configure.proxyCommand }),
    AGENT_TIMEOUT_SECONDS: String(configure.timeoutSeconds),
    AGENT_LOG_FILE: logFile(configure, attempt),
    AGENT_OPERATION_ID: attempt.operation.operation_id,
    TRACEPARENT: traceparentFor(attempt.operation.operation_id, attempt.operation.attempt),
    ...(configure.checkedFile === undefined ? {} : { AGENT_CHECKED_FILE: configure.checkedFile() }),
    ...(configure.ansibleBin === undefined ? {} : { ANSIBLE_BIN: configure.ansibleBin }),
    ...configure.prepared?.(),
    ...configure.software,
    ...(keys === undefined ? {} : keyEnvironment(keys)),
  };
}

/** Where one attempt's run writes its log. */
export function logFile(
  { logDir }: ConfigureSettings,
  { operation }: { operation: { operation_id: string; attempt: number } },
): string {
  return join(logDir, `${operation.operation_id}-${operation.attempt}.log`);
}

/** Returns both host keys: the server presents its first one until the first run replaces it. */
function keyEnvironment(keys: ConfigureKeys): Record<string, string> {
  return {
    AGENT_SSH_PRIVATE_KEY: keys.sshPrivateKey,
    AGENT_HOST_PUBLIC_KEY: `${keys.hostPublicKey}\n${keys.nextHostPublicKey}`,
    AGENT_NEW_HOST_KEY: keys.nextHostPrivateKey,
  };
}
