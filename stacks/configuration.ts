/** Runs the playbook. The script's path comes from the environment. */
export const CONFIGURATION_COMMAND = 'exec "$AGENT_STACKS_CONFIGURE"';

const ENVIRONMENT = ['AGENT_ID', 'AGENT_HOST', 'AGENT_HEALTH_PORT'];

/**
 * Whether a command resource's inputs are those of an agent's configuration: exactly this command, without
 * other inputs, and only with variables that the script validates.
 */
export function isConfigurationCommand(inputs: Record<string, unknown>): boolean {
  const { create, update, delete: remove, interpreter, dir, stdin, environment } = inputs;
  const others = [update, remove, interpreter, dir, stdin];
  return (
    create === CONFIGURATION_COMMAND &&
    others.every((input) => input === undefined) &&
    Object.keys(environment ?? {}).every((name) => ENVIRONMENT.includes(name))
  );
}
