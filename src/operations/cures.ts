import {
  CONFIGURE_FAILED,
  CREDENTIAL_REFUSED,
  LIMIT_REACHED,
  SOLD_OUT,
  STATE_KEY_UNUSABLE,
  TAGS_REFUSED,
} from '../errors.ts';
import { NOT_JOINED } from '../pulumi/errors.ts';

/** What a person does while the key cannot be used. */
export const STATE_KEY_CURE =
  'Check that the key of PULUMI_SECRETS_PROVIDER exists and is enabled, that its service answers, and that the provider’s credentials (such as AWS_…, GOOGLE_…, AZURE_… or VAULT_…) are valid and may encrypt and decrypt with it: docs/configuration.md, “A key instead of the passphrase”. With new credentials start the service again. What waits goes on by itself.';

/** What a person does about an operation that has failed, by the code of its failure. */
export const CURES_BY_CODE: Readonly<Record<string, string>> = {
  [LIMIT_REACHED]:
    'Hetzner’s limit for the project is reached. Ask for a higher one in Hetzner’s console (Limits), or destroy what nobody needs. Then press Retry.',
  [CREDENTIAL_REFUSED]:
    'A cloud refuses the service’s credential. Put a valid one into HCLOUD_TOKEN or the TAILSCALE_ variables and start the service again. Then press Retry.',
  [STATE_KEY_UNUSABLE]: STATE_KEY_CURE,
  [SOLD_OUT]:
    'Hetzner has no such server there at the moment. Name other server types for the plan in BILLING_PLANS, or press Retry later.',
  [NOT_JOINED]:
    'The server came up and did not join the tailnet. Look whether the tailnet has room for another device and lets tag:agent join, in Tailscale’s console. Then press Retry.',
  [CONFIGURE_FAILED]:
    'The last lines of the operation’s log say which of Ansible’s tasks failed or hung. Mend what it needs, then press Retry.',
  [TAGS_REFUSED]:
    'The tailnet’s policy does not let the service tag a device. In Tailscale’s console, under Access controls, make tag:controller (or the tag of the OAuth client) an owner of tag:agent in tagOwners; docs/tailnet-policy.hujson has the whole policy. Then press Retry.',
};
