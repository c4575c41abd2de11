// The sample files in docs/deployment.md, each checked by its own tool. A tool that is not installed is skipped by name (Debian:
// apt-get install systemd nginx-light caddy openssl).

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { filesIn } from "../packages/chorus-rooms/test/pages.mjs";

const scratch = mkdtempSync(join(tmpdir(), "chorus-samples-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

const files = filesIn("docs/deployment.md");
// Of root's paths, too, which a user's lack.
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin`, HOME: scratch };

function run(program, ...args) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { env, encoding: "utf8" });
  return { status, output: `${error?.message ?? ""}${stdout}${stderr}` };
}

const skipWithout = (...programs) => {
  const missing = programs.find((program) => run(program, program === "nginx" ? "-v" : program === "systemd-analyze" ? "--version" : "version").output.includes("ENOENT"));
  return missing && `${missing} is not installed`;
};

function written(name, text) {
  writeFileSync(join(scratch, name), text);
  return join(scratch, name);
}

/** Says that the tool takes the file, and does not take one with a mistake. */
function taken(check, text, mistake) {
  const { status, output } = check(text);
  assert.equal(status, 0, output);
  const wrong = text.replace(...mistake);
  assert.notEqual(wrong, text);
  assert.notEqual(check(wrong).status, 0, "the tool finds no mistake");
}

test("the page has a unit, a Caddyfile and a server of nginx", () => {
  assert.deepEqual(Object.keys(files), ["/etc/systemd/system/chorus.service", "/etc/caddy/Caddyfile", "/etc/nginx/conf.d/chorus.conf"]);
});

test("systemd takes the unit", { skip: skipWithout("systemd-analyze") }, () => {
  // The binary is not on this machine; another one stands in for it.
  const unit = files["/etc/systemd/system/chorus.service"].replace("/usr/local/bin/chorus", process.execPath);
  const check = (text) => {
    const { status, output } = run("systemd-analyze", "verify", "--man=no", written("chorus.service", text));
    // A key that it does not have is a warning, with the exit code 0.
    return { status: status === 0 && /chorus\.service/.test(output) ? 1 : status, output };
  };
  taken(check, unit, ["StateDirectory=", "StateDirektory="]);
});

test("Caddy takes its file", { skip: skipWithout("caddy") }, () => {
  const check = (text) => run("caddy", "validate", "--adapter", "caddyfile", "--config", written("Caddyfile", text));
  taken(check, files["/etc/caddy/Caddyfile"], ["reverse_proxy", "reverse_poxy"]);
});

test("nginx takes its server", { skip: skipWithout("nginx", "openssl") }, () => {
  const subject = ["-subj", "/CN=play.example.org", "-days", "1"], key = join(scratch, "privkey.pem"), certificate = join(scratch, "fullchain.pem");
  const made = run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate, ...subject);
  assert.equal(made.status, 0, made.output);
  const check = (text) => {
    const server = written("chorus.conf", text.replaceAll("/etc/letsencrypt/live/play.example.org", scratch));
    const whole = written("nginx.conf", `pid ${scratch}/pid;\nevents {}\nhttp {\n  access_log off;\n  include ${server};\n}\n`);
    return run("nginx", "-t", "-q", "-p", scratch, "-e", "stderr", "-c", whole);
  };
  taken(check, files["/etc/nginx/conf.d/chorus.conf"], ["proxy_http_version", "proxy_htp_version"]);
});
