/** Why each check matters, for the person who reads what it found. */
const REASONS: Record<string, string> = {
  configuration: 'The service does not start with settings that are missing or malformed.',
  connections: 'Without a free connection a process cannot claim, report or answer; orders wait.',
  sandbox: 'The rehearsal’s clouds are a sandbox on this machine.',
  tools: 'Every operation runs the Pulumi CLI, and every new server is configured by Ansible.',
  plugins: 'Pulumi makes servers, keys and devices through these programs.',
  disk: 'Logs, state and temporary files grow; a full disk stops operations half way.',
  clock: 'Stripe’s signatures and the vendors’ certificates and tokens are refused when the clock is off.',
  'agent-snapshots':
    'What is on an agent’s disk is nowhere else: without a snapshot that boots, a ruined disk is lost.',
  backup:
    'The database holds every agent’s keys and state: without a backup its loss is the loss of all agents.',
  database: 'Everything that must survive is in Postgres.',
  pooler: 'Workers are woken by notifications and fence attempts by sessions, which such a pooler breaks.',
  'database-privileges':
    'Each attempt gets a login of its own, which is taken away before the next one: no paused process can write late.',
  'state-name': 'Pulumi’s backend finds a stack by a pattern in which these characters stand for any other.',
  'state-key':
    'What encrypts the state must decrypt it: without this key no stack can be read, and what needs one waits.',
  passphrase: 'Without it no server can be reached and no stack be read.',
  accounts: 'With other accounts every server would look deleted, and new ones would be nobody’s.',
  queue: 'What is queued are people’s orders.',
  schema: 'An older program must not write to a newer database.',
  hetzner: 'Servers are made and looked after with this token.',
  'hetzner-projects': 'Limits and quota are counted for each project: two tokens of one are counted twice.',
  'hetzner-access': 'An order needs a server, and a cancelled one has to go.',
  quota: 'Without requests left, Hetzner refuses every call for a while, and orders wait.',
  'server-limit': 'At the limit no order gets a server until Hetzner raises it.',
  prices: 'An order of a plan that cannot be had waits until it can.',
  tailscale: 'Servers join the tailnet with keys that are made with this credential, and leave it by it.',
  'tailscale-scopes': 'Keys have to be made, and devices named and removed.',
  'tailnet-tags': 'The tag decides what an agent may reach: without it no key can be made.',
  'tailnet-policy': 'The policy keeps one customer’s agent from another’s, and lets the controller in.',
  tailnet: 'Ansible and health checks reach agents over the tailnet alone.',
  stripe: 'Subscriptions are read with this key.',
  'stripe-access':
    'What is not read is not followed: nobody is suspended, and nobody’s agent ends with their subscription.',
  webhook: 'A customer who pays gets an agent because Stripe tells this service.',
  'public-address': 'Stripe and runners reach the service through it, and buyers see their pages there.',
};

/** Why a check matters; undefined for one that is not known here. `hetzner:us` is that of a project. */
export const findReason = (name: string): string | undefined => REASONS[name.split(':')[0]!];
