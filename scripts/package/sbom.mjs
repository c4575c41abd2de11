// The bill of materials of a release, in CycloneDX 1.6: crates that are compiled into the native program, C code in them, npm packages that
// chorus-rooms installs, and packages of Debian in the image.
//
// It is made from what has already decided: `cargo metadata` (only what the platform's program needs), Cargo.lock's hashes, and the packed
// lock file. Crates that only tests need are left out; those that run while it is built are marked `excluded`, as the format has it.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** C code that a crate compiles in, and where its version is. */
const BUNDLED = {
  "rdkafka-sys": { name: "librdkafka", license: "BSD-2-Clause", version: (crate) => crate.version.split("+")[1] },
  "libsqlite3-sys": { name: "sqlite", license: "blessing", version: (_, folder) => /#define SQLITE_VERSION\s+"([^"]+)"/.exec(readFileSync(join(folder, "sqlite3/sqlite3.h"), "utf8"))[1] },
};

/**
 * The document, as a value. `lock`: the value of chorus-rooms' npm-shrinkwrap.json; `debian`: of `packagesOf`; `engine`: `{ version, license }` of
 * QuickJS; `seconds`: its time.
 */
export function sbom({ root, triple, version, license, revision, lock, debian, engine, seconds }) {
  const crates = cratesOf(root, triple);
  const npm = npmOf(lock);
  const native = { type: "application", "bom-ref": `chorus@${version}`, name: "chorus", version, licenses: licensed(license), purl: `pkg:generic/chorus@${version}` };
  const rooms = { type: "library", "bom-ref": `pkg:npm/chorus-rooms@${version}`, name: "chorus-rooms", version, licenses: licensed(license), purl: `pkg:npm/chorus-rooms@${version}` };
  const quickjs = { type: "library", "bom-ref": `pkg:generic/quickjs-ng@${engine.version}`, name: "quickjs-ng", version: engine.version, licenses: licensed(engine.license), purl: `pkg:generic/quickjs-ng@${engine.version}` };
  const system = debian.map(({ name, version: of, architecture }) => {
    const purl = `pkg:deb/debian/${name}@${encodeURIComponent(of)}?arch=${architecture}`;
    return { type: "library", "bom-ref": purl, name, version: of, purl };
  });
  const image = { type: "container", "bom-ref": `image:chorus@${version}`, name: "chorus", version, licenses: licensed(license) };
  const product = { type: "application", "bom-ref": `release@${version}`, name: "chorus release", version, licenses: licensed(license) };
  const document = {
    bomFormat: "CycloneDX", specVersion: "1.6", version: 1,
    metadata: { timestamp: new Date(seconds * 1000).toISOString().replace(".000", ""), component: { ...product, properties: [{ name: "chorus:revision", value: revision }] } },
    components: [native, image, rooms, quickjs, ...crates.components, ...npm.components, ...system],
    dependencies: [
      { ref: product["bom-ref"], dependsOn: [native, image, rooms].map((one) => one["bom-ref"]) },
      { ref: native["bom-ref"], dependsOn: crates.roots },
      { ref: image["bom-ref"], dependsOn: [native, ...system].map((one) => one["bom-ref"]) },
      { ref: rooms["bom-ref"], dependsOn: [native["bom-ref"], quickjs["bom-ref"], ...npm.roots] },
      ...crates.dependencies, ...npm.dependencies,
    ],
  };
  return { ...document, serialNumber: `urn:uuid:${uuidOf(JSON.stringify(document))}` };
}

function cratesOf(root, triple) {
  const text = execFileSync("cargo", ["metadata", "--format-version", "1", "--locked", "--filter-platform", triple], { cwd: root, encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "ignore"] });
  const { packages, resolve } = JSON.parse(text);
  const crates = new Map(packages.map((one) => [one.id, one]));
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]));
  const checksums = checksumsOf(readFileSync(join(root, "Cargo.lock"), "utf8"));
  const start = packages.find(({ name, source }) => name === "chorus" && source === null).id;
  const needed = (kinds) => {
    const seen = new Set(), open = [start];
    for (let id; (id = open.pop()) !== undefined;) {
      if (seen.has(id)) continue;
      seen.add(id);
      open.push(...depsOf(nodes.get(id), kinds));
    }
    return seen;
  };
  const inside = needed([null]), all = needed([null, "build"]);
  const shown = [...all].filter((id) => crates.get(id).source !== null).sort();
  // The workspace's own crates are the native program: what they need, it needs.
  const own = [...all].filter((id) => crates.get(id).source === null);
  const refs = (ids) => [...new Set(ids.filter((id) => crates.get(id).source !== null).map((id) => crateRef(crates.get(id))))].sort();
  const bundled = (crate) => {
    if (!Object.hasOwn(BUNDLED, crate.name)) return undefined;
    const { name, license, version } = BUNDLED[crate.name];
    const of = version(crate, dirname(crate.manifest_path)), purl = `pkg:generic/${name}@${of}`;
    return { type: "library", "bom-ref": purl, name, version: of, licenses: licensed(license), purl };
  };
  return {
    roots: refs(own.flatMap((id) => depsOf(nodes.get(id), [null, "build"]))),
    components: shown.flatMap((id) => {
      const crate = crates.get(id), c = bundled(crate);
      const hash = checksums.get(`${crate.name} ${crate.version}`);
      const component = {
        type: "library", "bom-ref": crateRef(crate), name: crate.name, version: crate.version, scope: inside.has(id) ? "required" : "excluded",
        ...(hash ? { hashes: [{ alg: "SHA-256", content: hash }] } : {}), ...(crate.license ? { licenses: licensed(crate.license) } : {}), purl: crateRef(crate),
      };
      return c ? [component, c] : [component];
    }),
    dependencies: shown.map((id) => {
      const c = bundled(crates.get(id));
      return { ref: crateRef(crates.get(id)), dependsOn: [...refs(depsOf(nodes.get(id), [null, "build"])), ...(c ? [c["bom-ref"]] : [])] };
    }),
  };
}

function depsOf(node, kinds) {
  return node.deps.filter(({ dep_kinds }) => dep_kinds.some(({ kind }) => kinds.includes(kind))).map(({ pkg }) => pkg);
}

function crateRef({ name, version }) { return `pkg:cargo/${name}@${encodeURIComponent(version)}`; }

function checksumsOf(lock) {
  return new Map([...lock.matchAll(/name = "([^"]+)"\nversion = "([^"]+)"\nsource = "[^"]+"\nchecksum = "([0-9a-f]{64})"/g)].map(([, name, version, sum]) => [`${name} ${version}`, sum]));
}

/** Of a lock file of npm: a package's path is where it is installed. The native program's own package is left out: it is the program. */
function npmOf({ packages }) {
  const paths = Object.keys(packages).filter((path) => path !== "" && !path.includes("node_modules/chorus-rooms-"));
  const refs = new Map(paths.map((path) => [path, npmRef(nameAt(path), packages[path].version)]));
  const found = (from, name) => {
    for (let at = from; ; at = at.includes("/node_modules/") ? at.slice(0, at.lastIndexOf("/node_modules/")) : "") {
      const path = `${at === "" ? "" : `${at}/`}node_modules/${name}`;
      if (refs.has(path)) return refs.get(path);
      if (at === "") return undefined;
    }
  };
  const needs = (path) => [...new Set(Object.keys({ ...packages[path].dependencies, ...packages[path].optionalDependencies }).map((name) => found(path, name)).filter(Boolean))].sort();
  const components = new Map(paths.map((path) => {
    const { version, integrity, license, optional } = packages[path], ref = refs.get(path);
    const [, algorithm, base64] = /^(sha\d+)-(.+)$/.exec(integrity);
    const hash = { alg: algorithm.replace("sha", "SHA-"), content: Buffer.from(base64, "base64").toString("hex") };
    return [ref, { type: "library", "bom-ref": ref, name: nameAt(path), version, scope: optional ? "optional" : "required", hashes: [hash], ...(license ? { licenses: licensed(license) } : {}), purl: ref }];
  }));
  return { roots: needs(""), components: [...components.values()], dependencies: [...new Map(paths.map((path) => [refs.get(path), { ref: refs.get(path), dependsOn: needs(path) }])).values()] };
}

function nameAt(path) { return path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length); }
function npmRef(name, version) { return `pkg:npm/${name.replace("@", "%40")}@${version}`; }

/** Older crates separate alternatives by a slash. */
function licensed(expression) { return [{ expression: expression.replaceAll(/\s*\/\s*/g, " OR ") }]; }

/** The form of a UUID of version 8, whose contents are free. */
function uuidOf(text) {
  const hex = createHash("sha256").update(text).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
