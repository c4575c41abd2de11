// A container image as an OCI archive, made without a daemon: two layers, a configuration, a manifest, each named by its hash.
//
// The first layer is what the program needs of a system: its loader and shared libraries as `ldd` lists them, the authorities of Mozilla, and
// a user. There is no shell and no package manager, so nothing else has to be kept up to date. All comes from packages of Debian, with
// their licences; nothing is taken from this machine's own settings. The same program and packages give the same bytes.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, realpathSync } from "node:fs";
import { basename, dirname } from "node:path";

import { gzip, tar } from "./archive.mjs";

/** The user in the image: that of nobody else, as in other images without a shell. */
const USER = 65_532;
const AUTHORITIES = "/usr/share/ca-certificates/mozilla";
const PORT = 4000;
const OCI = "application/vnd.oci.image";

const SETTINGS = {
  "etc/passwd": `root:x:0:0:root:/:/sbin/nologin\nchorus:x:${USER}:${USER}:chorus:/data:/sbin/nologin\n`,
  "etc/group": `root:x:0:\nchorus:x:${USER}:\n`,
  "etc/nsswitch.conf": "hosts: files dns\n",
};

/**
 * The archive's bytes. `program`: the stripped binary's path; `architecture`: OCI's (`amd64`); `seconds`: the time of all that is in it.
 * `digest`: the image's.
 */
export function image({ program, name, version, architecture, revision, license, seconds }) {
  const layers = [tar(system(program), seconds), tar(own(program), seconds)].map((bytes) => ({ diff: digest(bytes), bytes: gzip(bytes) }));
  const created = new Date(seconds * 1000).toISOString().replace(".000", "");
  const labels = Object.fromEntries(Object.entries({ title: name, version, revision, licenses: license, created }).map(([key, value]) => [`org.opencontainers.image.${key}`, value]));
  const config = json({
    created, architecture, os: "linux",
    config: {
      User: `${USER}:${USER}`, Entrypoint: ["/usr/local/bin/chorus"], WorkingDir: "/data", Volumes: { "/data": {} }, ExposedPorts: { [`${PORT}/tcp`]: {} },
      Env: ["PATH=/usr/local/bin", "HOME=/data", "CHORUS_DATA=/data", "CHORUS_CACHE=/var/cache/chorus"], Labels: labels,
    },
    rootfs: { type: "layers", diff_ids: layers.map(({ diff }) => diff) },
    history: ["the loader, shared libraries, authorities and the user", name].map((what) => ({ created, created_by: what })),
  });
  const blob = (mediaType, bytes) => ({ mediaType, digest: digest(bytes), size: bytes.length });
  const manifest = json({ schemaVersion: 2, mediaType: `${OCI}.manifest.v1+json`, config: blob(`${OCI}.config.v1+json`, config), layers: layers.map(({ bytes }) => blob(`${OCI}.layer.v1.tar+gzip`, bytes)), annotations: labels });
  const reference = { "org.opencontainers.image.ref.name": version, "io.containerd.image.name": `docker.io/library/${name}:${version}` };
  const index = json({ schemaVersion: 2, mediaType: `${OCI}.index.v1+json`, manifests: [{ ...blob(`${OCI}.manifest.v1+json`, manifest), platform: { architecture, os: "linux" }, annotations: reference }] });
  const at = (bytes) => `blobs/sha256/${digest(bytes).slice("sha256:".length)}`;
  const blobs = [config, manifest, ...layers.map(({ bytes }) => bytes)];
  // For `docker load` of versions that do not read OCI archives.
  const docker = json([{ Config: at(config), RepoTags: [`${name}:${version}`], Layers: layers.map(({ bytes }) => at(bytes)) }]);
  const files = [
    ["oci-layout", json({ imageLayoutVersion: "1.0.0" })], ["index.json", index], ["manifest.json", docker], ...blobs.map((bytes) => [at(bytes), bytes]),
  ];
  return { archive: tar([{ path: "blobs/" }, { path: "blobs/sha256/" }, ...files.map(([path, bytes]) => ({ path, bytes }))], seconds), digest: digest(manifest) };
}

/** The packages of Debian from which the first layer is made, as `{ name, version, architecture }`. */
export function packagesOf(program) {
  return owners([...libraries(program), AUTHORITIES]).map((owner) => {
    const [name, version, architecture] = execFileSync("dpkg-query", ["--show", "--showformat", "${Package}\t${Version}\t${Architecture}", owner], { encoding: "utf8" }).split("\t");
    return { name, version, architecture };
  });
}

function system(program) {
  const needed = libraries(program);
  const files = [
    ...needed.map((path) => ({ path: path.slice(1), bytes: readFileSync(realpathSync(path)), mode: 0o755 })),
    ...owners([...needed, AUTHORITIES]).map((owner) => owner.split(":")[0]).map((owner) => ({ path: `usr/share/doc/${owner}/copyright`, bytes: readFileSync(`/usr/share/doc/${owner}/copyright`) })),
    { path: "etc/ssl/certs/ca-certificates.crt", bytes: Buffer.concat(readdirSync(AUTHORITIES).sort().map((name) => readFileSync(`${AUTHORITIES}/${name}`))) },
    ...Object.entries(SETTINGS).map(([path, text]) => ({ path, bytes: Buffer.from(text) })),
  ];
  const folders = new Set(files.flatMap(({ path }) => parents(path)));
  for (const path of ["var/", "var/cache/"]) folders.add(path);
  return [
    ...files, ...[...folders].map((path) => ({ path })),
    { path: "data/", owner: USER, mode: 0o700 }, { path: "var/cache/chorus/", owner: USER, mode: 0o700 }, { path: "tmp/", mode: 0o1777 },
  ];
}

function own(program) {
  const path = "usr/local/bin/chorus";
  return [...parents(path).map((folder) => ({ path: folder })), { path, bytes: readFileSync(program), mode: 0o755 }];
}

/** The loader and the shared libraries, where the loader looks for them. */
function libraries(program) {
  const listed = execFileSync("ldd", [program], { encoding: "utf8" });
  const missing = /^\s*(\S+) => not found/m.exec(listed);
  if (missing) throw new Error(`${basename(program)} needs ${missing[1]}, which is not on this machine`);
  return [...listed.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path).sort();
}

/** The names of the packages that have these files. */
function owners(paths) {
  if (!existsSync("/usr/bin/dpkg-query")) throw new Error("the image is made from packages of Debian: run this on Debian, or in a container of it");
  const found = paths.map((path) => {
    // Since /lib is a link to /usr/lib, a package may list either.
    for (const one of [path, path.replace(/^\/usr\//, "/"), `/usr${path}`]) {
      try {
        return execFileSync("dpkg-query", ["--search", one], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).split(/, |: /)[0];
      } catch {
        // Listed under another path.
      }
    }
    throw new Error(`${path} is in no package of Debian, so its licence and version are not known`);
  });
  return [...new Set(found)].sort();
}

/** The folders of a path, as entries. */
function parents(path) {
  const folder = dirname(path);
  return folder === "." ? [] : [...parents(folder), `${folder}/`];
}

function json(value) { return Buffer.from(JSON.stringify(value)); }
function digest(bytes) { return `sha256:${createHash("sha256").update(bytes).digest("hex")}`; }
