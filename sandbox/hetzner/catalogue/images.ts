import type { Labels } from '../labels.ts';
import type { Architecture } from './server-types.ts';

type SystemFlavor = 'debian' | 'ubuntu' | 'fedora' | 'rocky' | 'alma' | 'centos' | 'opensuse';
export type OsFlavor = SystemFlavor | 'unknown';

interface System {
  flavor: SystemFlavor;
  version: string;
  name: string;
  description: string;
  created: string;
  /** When Hetzner deprecated it; a deprecated image is listed only on request. */
  deprecated?: string;
  /** The images' ids: x86, then arm. */
  ids: readonly [number, number];
}

const SYSTEMS: readonly System[] = [
  system('debian', '11', 'Debian 11', '2021-08-16', [45557056, 103907373], '2026-08-31T00:00:00Z'),
  system('debian', '12', 'Debian 12', '2023-06-13', [114690387, 114690389]),
  system('debian', '13', 'Debian 13', '2025-08-11', [310557660, 310557661]),
  system('ubuntu', '20.04', 'Ubuntu 20.04', '2020-04-23', [15512617, 103908130], '2025-05-31T00:00:00Z'),
  system('ubuntu', '22.04', 'Ubuntu 22.04', '2022-04-21', [67794396, 103908070]),
  system('ubuntu', '24.04', 'Ubuntu 24.04', '2024-04-25', [161547269, 161547270]),
  system('fedora', '42', 'Fedora 42', '2025-04-15', [232895454, 232895456]),
  system('rocky', '9', 'Rocky Linux 9', '2022-07-20', [76766499, 103907612]),
  system('alma', '9', 'AlmaLinux 9', '2022-05-31', [69726282, 103907563]),
  system('opensuse', '15', 'openSUSE Leap 15', '2022-07-18', [109114646, 109114648]),
];

/** A disk image as the API shows it: the provider's, or one of a server's disk. */
export interface Image {
  id: number;
  type: 'system' | 'snapshot' | 'backup';
  status: 'available' | 'creating' | 'unavailable';
  /** Only the provider's images have a name; orders can use it. */
  name: string | null;
  description: string;
  image_size: number | null;
  disk_size: number;
  created: string;
  created_from: { id: number; name: string } | null;
  bound_to: number | null;
  os_flavor: OsFlavor;
  os_version: string | null;
  rapid_deploy: boolean;
  protection: { delete: boolean };
  deprecated: string | null;
  deleted: string | null;
  labels: Labels;
  architecture: Architecture;
}

export const IMAGES: readonly Image[] = SYSTEMS.flatMap((entry) => [
  toImage(entry, 'x86', entry.ids[0]),
  toImage(entry, 'arm', entry.ids[1]),
]);

function system(
  flavor: SystemFlavor,
  version: string,
  description: string,
  created: string,
  ids: System['ids'],
  deprecated?: string,
): System {
  const entry = { flavor, version, name: `${flavor}-${version}`, description, created, ids };
  return deprecated === undefined ? entry : { ...entry, deprecated };
}

function toImage(entry: System, architecture: Architecture, id: number): Image {
  return {
    id,
    type: 'system',
    status: 'available',
    name: entry.name,
    description: entry.description,
    image_size: null,
    disk_size: 5,
    created: `${entry.created}T06:00:00Z`,
    created_from: null,
    bound_to: null,
    os_flavor: entry.flavor,
    os_version: entry.version,
    rapid_deploy: true,
    protection: { delete: false },
    deprecated: entry.deprecated ?? null,
    deleted: null,
    labels: {},
    architecture,
  };
}
