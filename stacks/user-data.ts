export interface UserData {
  hostname: string;
  tailnetKey: string;
  adminPublicKey: string;
  hostPrivateKey: string;
  hostPublicKey: string;
  loginServer?: string | undefined;
}

/**
 * Cloud-init for a new server: its host key, the administering user `ops`, and the tailnet key with which it joins by itself.
 * All of it is worthless afterwards: the key is single use and the first Ansible run replaces the host key.
 * @see https://cloudinit.readthedocs.io/en/latest/reference/modules.html
 */
export function renderUserData(data: UserData): string {
  const login = data.loginServer === undefined ? '' : ` --login-server=${data.loginServer}`;
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
write_files:
  - path: /etc/agent/tailnet-key
    owner: root:root
    permissions: "0600"
    content: ${data.tailnetKey}
runcmd:
  - [sh, -c, "command -v tailscale >/dev/null || curl -fsSL https://tailscale.com/install.sh | sh"]
  - [sh, -c, "tailscale up --auth-key=file:/etc/agent/tailnet-key --hostname=${data.hostname}${login}"]
  - [sh, -c, "rm -f /etc/agent/tailnet-key"]
`;
}

function indent(text: string, width: number): string {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => ' '.repeat(width) + line)
    .join('\n');
}
