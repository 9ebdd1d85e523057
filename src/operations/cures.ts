import { CONFIGURE_FAILED, CREDENTIAL_REFUSED, LIMIT_REACHED, SOLD_OUT, TAGS_REFUSED } from '../errors.ts';
import { NOT_JOINED } from '../pulumi/errors.ts';

/** What a person does about an operation that has failed, by the code of its failure. */
export const CURES_BY_CODE: Readonly<Record<string, string>> = {
  [LIMIT_REACHED]:
    'Hetzner’s limit for the project is reached. Ask for a higher one in Hetzner’s console (Limits), or destroy what nobody needs. Then press Retry.',
  [CREDENTIAL_REFUSED]:
    'A cloud refuses the service’s credential. Put a valid one into HCLOUD_TOKEN or the TAILSCALE_ variables and start the service again. Then press Retry.',
  [SOLD_OUT]:
    'Hetzner has no such server there at the moment. Name other server types for the plan in BILLING_PLANS, or press Retry later.',
  [NOT_JOINED]:
    'The server came up and did not join the tailnet. Look whether the tailnet has room for another device and lets tag:agent join, in Tailscale’s console. Then press Retry.',
  [CONFIGURE_FAILED]:
    'The last lines of the operation’s log say which of Ansible’s tasks failed or hung. Mend what it needs, then press Retry.',
  [TAGS_REFUSED]:
    'The tailnet’s policy does not let the service tag a device. In Tailscale’s console, under Access controls, make tag:controller (or the tag of the OAuth client) an owner of tag:agent in tagOwners; docs/tailnet-policy.hujson has the whole policy. Then press Retry.',
};
