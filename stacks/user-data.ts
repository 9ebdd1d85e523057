export interface UserData {
  hostname: string;
  /** The hostname under which the server joins the tailnet. */
  joinName: string;
  tailnetKey: string;
  adminPublicKey: string;
  hostPrivateKey: string;
  hostPublicKey: string;
  loginServer?: string | undefined;
  /** Whether its disk comes from an image of ours. It joins only if that was cleaned to its end. */
  isFromOwnImage?: boolean | undefined;
}

/** The fingerprint of the key that signs Tailscale's packages. The key itself is downloaded with them. */
const TAILSCALE_SIGNING_KEY = '2596A99EAAB33821893C0A79458CA832957F5868';
const KEY_FILE = '/etc/agent/tailnet-key';

/**
 * Renders cloud-init for a new server: its host key, the administrator `ops`, and the tailnet key with which
 * it joins. These secrets are worthless afterwards: the tailnet key is single-use, and the first Ansible run
 * replaces the host key.
 * @see https://cloudinit.readthedocs.io/en/latest/reference/modules.html
 */
export function renderUserData(data: UserData): string {
  return `#cloud-config
hostname: ${data.hostname}
preserve_hostname: false
manage_etc_hosts: localhost
ssh_deletekeys: true
ssh_genkeytypes: []
ssh_keys:
  ed25519_private: |
${indent(data.hostPrivateKey, 4)}
  ed25519_public: ${data.hostPublicKey}
disable_root: true
ssh_pwauth: false
users:
  - name: ops
    groups: [sudo]
    shell: /bin/bash
    lock_passwd: true
    sudo: ["ALL=(ALL) NOPASSWD:ALL"]
    ssh_authorized_keys:
      - ${data.adminPublicKey}
${renderJoining(data, data.isFromOwnImage === true ? REFUSE_UNCLEANED : '')}`;
}

/**
 * Renders cloud-init for a server whose disk comes from a snapshot. Cloud-init takes it for a new machine; it
 * must keep the host key and the users. It need not join, because the disk holds the tailnet device's
 * identity, unless that device is gone: then it forgets that identity and joins as a new device with
 * `joining`.
 */
export function renderWakingUserData({ hostname, joining }: WakingUserData): string {
  return `#cloud-config
hostname: ${hostname}
preserve_hostname: false
manage_etc_hosts: localhost
ssh_deletekeys: false
ssh_genkeytypes: []
disable_root: true
ssh_pwauth: false
users: []
${joining === undefined ? '' : renderJoining(joining, FORGET_IDENTITY)}`;
}

export interface WakingUserData extends Pick<UserData, 'hostname'> {
  joining?: Joining | undefined;
}

export type Joining = Pick<UserData, 'joinName' | 'tailnetKey' | 'loginServer'>;

/** A tailscaled that holds the keys of a removed or expired device might ignore a new tailnet key. */
const FORGET_IDENTITY = `systemctl stop tailscaled
rm -f /var/lib/tailscale/tailscaled.state
systemctl start tailscaled
`;

/**
 * What cleans the disk of an image writes this file last. A disk without it may have the identities and the
 * authorized keys of the server that it was: this one must not be reached, and is replaced.
 */
const REFUSE_UNCLEANED = `if ! test -s /etc/agent/image; then
  systemctl stop tailscaled
  rm -f /var/lib/tailscale/tailscaled.state
  echo "The disk of this image was not cleaned to its end" >&2
  exit 1
fi
`;

function renderJoining(joining: Joining, before = ''): string {
  return `write_files:
  - path: ${KEY_FILE}
    owner: root:root
    permissions: "0600"
    content: ${joining.tailnetKey}
runcmd:
  - |
${indent(joinScript(joining, before), 4)}
`;
}

/**
 * What a new server's first boot does to join, for a server that has booted long ago. Holds a secret.
 * `before` runs just before it joins.
 */
export function renderJoinScript(joining: Joining, before = ''): string {
  return `umask 077
mkdir -p /etc/agent
cat >${KEY_FILE} <<'END'
${joining.tailnetKey}
END
${joinScript(joining, before)}
`;
}

/**
 * Installs Tailscale unless the image has it, and joins. The first update accepts only the known signing key;
 * afterwards the vendor's package maintains the keyring. An agent may not reach anything on the tailnet, so
 * it needs no tailnet DNS. `before` runs just before it joins.
 */
function joinScript({ joinName, loginServer }: Joining, before: string): string {
  const login = loginServer === undefined ? '' : ` --login-server=${loginServer}`;
  return `set -eu
trap 'rm -f ${KEY_FILE}' EXIT
if ! command -v tailscale >/dev/null; then
  . /etc/os-release
  repository="https://pkgs.tailscale.com/stable/$ID"
  keyring=/usr/share/keyrings/tailscale-archive-keyring.gpg
  list=/etc/apt/sources.list.d/tailscale.list
  export DEBIAN_FRONTEND=noninteractive
  apt_get="apt-get -q -o DPkg::Lock::Timeout=120 -o Acquire::Retries=5"
  curl -fsSL --retry 5 --retry-connrefused -o "$keyring" "$repository/$VERSION_CODENAME.noarmor.gpg"
  chmod 0644 "$keyring"
  echo "deb [signed-by=$keyring,${TAILSCALE_SIGNING_KEY}] $repository $VERSION_CODENAME main" >"$list"
  $apt_get update
  $apt_get install -y tailscale
  sed -i 's/,${TAILSCALE_SIGNING_KEY}//' "$list"
fi
${before}tailscale up --auth-key=file:${KEY_FILE} --hostname=${joinName} --accept-dns=false${login}`;
}

function indent(text: string, width: number): string {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => ' '.repeat(width) + line)
    .join('\n');
}
