import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export type OwnServer = ReturnType<typeof createOwnServer>;

/** What the scripts call: each notes its call, and prints what the test has it answer. */
const PROGRAMS = ['ss', 'nft', 'getent', 'userdel', 'groupdel', 'sleep'];

/** Answers as Tailscale 1.102 does: status has the login's name only once it is in use. */
const TAILSCALE = `state=$(cat $HERE/ts-state) name=$(cat $HERE/ts-name)
case "$1" in
  status)
    test -n "$state" || exit 1
    printf '{\\n  "BackendState": "%s",\\n' "$state"
    test ! -e $HERE/ts-key || printf '  "HaveNodeKey": true,\\n'
    printf '  "HostName": "%s"\\n}\\n' "$(test "$state" = Running && echo "$name" || echo vm)"
    exit 0 ;;
  debug) printf '{\\n\\t"Hostname": "%s"\\n}\\n' "$name"; exit 0 ;;
  own) echo Stopped >$HERE/ts-state; touch $HERE/ts-key; exit 0 ;;
  up) echo Running >$HERE/ts-state; echo "\${3#--hostname=}" >$HERE/ts-name; touch $HERE/ts-key ;;
  logout) echo NeedsLogin >$HERE/ts-state; rm -f $HERE/ts-key ;;
esac`;

/**
 * A server that was made by hand, as a folder: scripts see it as their root, and their programs are stubs.
 * It is logged in to no tailnet.
 */
export function createOwnServer() {
  const here = mkdtempSync(join(tmpdir(), 'own-server-'));
  const root = join(here, 'root');
  const path = (name: string) => join(root, name);
  const write = (name: string, text: string) => {
    mkdirSync(dirname(path(name)), { recursive: true });
    writeFileSync(path(name), text);
  };
  const program = (file: string, body: string) => {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `#!/bin/sh\nHERE=${here}\n${body}\n`);
    chmodSync(file, 0o755);
  };
  const stub = (name: string, body: string) =>
    program(join(here, 'bin', name), `echo "${name} $*" >>$HERE/calls\n${body}`);
  const answer = (name: string, text: string) =>
    stub(name, text === '' ? 'case "$1" in list|passwd|group) exit 1 ;; esac' : `echo '${text}'`);
  const setTailnet = ({ state, name, hasKey = false }: { state: string; name: string; hasKey?: boolean }) => {
    writeFileSync(join(here, 'ts-state'), state);
    writeFileSync(join(here, 'ts-name'), name);
    rmSync(join(here, 'ts-key'), { force: true });
    if (hasKey) writeFileSync(join(here, 'ts-key'), '');
  };
  const noted = (name: string) =>
    existsSync(join(here, name)) ? readFileSync(join(here, name), 'utf8') : '';

  for (const name of PROGRAMS) answer(name, '');
  stub('systemctl', 'case "$1" in cat) exit 1 ;; is-enabled) echo enabled ;; esac');
  stub('tailscale', TAILSCALE);
  // It waits no seconds: its options end where the command begins.
  program(join(here, 'bin/systemd-run'), 'while test "$1" != /bin/sh; do shift; done; exec "$@"');
  program(path('usr/sbin/sshd'), 'exit 0');
  setTailnet({ state: 'NeedsLogin', name: '' });
  for (const folder of ['run/systemd/system', 'var/lib', 'etc/ssh/sshd_config.d', 'etc/default', 'opt'])
    mkdirSync(path(folder), { recursive: true });
  write('etc/os-release', 'ID=debian\nVERSION_ID=13\n');
  write('etc/nftables.conf', 'mine');
  write('etc/locale.conf', 'mine');
  symlinkSync('../locale.conf', path('etc/default/locale'));
  write('proc/sys/net/ipv4/ip_forward', '1\n');
  write('proc/sys/net/ipv4/conf/eth0/forwarding', '1\n');

  return {
    path,
    write,
    answer,
    setTailnet,
    read: (name: string) => readFileSync(path(name), 'utf8'),
    tailnet: () => ({ state: noted('ts-state').trim(), name: noted('ts-name').trim() }),
    calls: () => noted('calls').trim().split('\n').filter(Boolean),
    /** All files of its root with their contents. */
    snapshot: () =>
      Object.fromEntries(
        globSync('**', { cwd: root })
          .filter((name) => !lstatSync(path(name)).isDirectory())
          .map((name) => [
            name,
            lstatSync(path(name)).isSymbolicLink()
              ? readlinkSync(path(name))
              : readFileSync(path(name), 'utf8'),
          ]),
      ),
    run: (script: string) => {
      const { status, stderr } = spawnSync('/bin/sh', ['-s'], {
        input: redirect(script, root),
        env: { PATH: `${join(here, 'bin')}:/usr/bin:/bin` },
        encoding: 'utf8',
      });
      return { status, why: stderr.trim().split('\n').at(-1) };
    },
    remove: () => rmSync(here, { recursive: true, force: true }),
  };
}

/** Every absolute path of a script but that of the shell, and its notion of the root. */
const redirect = (script: string, root: string) =>
  script
    .replaceAll(/(?<![\w}.:])\/(?=(?:etc|var|usr|opt|proc|run)\/)/g, `${root}/`)
    .replaceAll(/"\/(?=\$)/g, `"${root}/`)
    .replaceAll(/\b(cd|tar -C) \/(?=\s)/g, `$1 ${root}`);
