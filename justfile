# Everything that one does here. `just` is run as `npx --yes rust-just`, or installed.

set positional-arguments

# Outside of the checkout, so that several checkouts share one build of the sandbox; one profile for the same reason.
export CARGO_TARGET_DIR := env("CARGO_TARGET_DIR", env("XDG_CACHE_HOME", home_directory() / ".cache") / "chorus/target")

binary := CARGO_TARGET_DIR / "release/chorus"

# what there is
default:
    @just --list --unsorted

# the JavaScript tools of guests, client and tests (npm ci, where it is due)
setup:
    @node scripts/setup.mjs

# compiles the engine of guests into engine/engine.wasm; needs Python and git; arguments as of engine/build.mjs
engine *args:
    @node engine/build.mjs "$@"

# the engine's own tests, and those of the SDK with their rooms in the engine
[no-exit-message]
engine-test:
    @node scripts/setup.mjs guests
    @node --test engine/test/*.test.mjs
    @CHORUS_TEST_GUEST=engine node --test guests/test/*.test.mjs

# the chorus binary
build:
    cargo build --release -p chorus

# guests into components, only what changed; arguments as of guests/build.mjs
build-guests *args:
    @node scripts/setup.mjs guests
    @node guests/build.mjs "$@"

# builds what is missing, and plays: `just dev --port 9000`, see `just dev --help`
dev *args:
    @echo "1/3  tools for guests"
    @node scripts/setup.mjs guests
    @echo "2/3  chorus (the first time this compiles the sandbox, which takes minutes)"
    @cargo build --release -p chorus
    @echo "3/3  guests"
    @node guests/build.mjs --no-fixtures
    @"{{binary}}" dev "$@"

# all tests; or some steps of them: `just test rust page`
[no-exit-message]
test *steps:
    @node scripts/test.mjs "$@"

# the tests that need no sandbox: the machines, the SDK, the guests, the client
[no-exit-message]
test-quick:
    @node scripts/test.mjs --quick

# kill -9 under load: 100 games, 200 kills; arguments as of chorus/tests/torture/torture.mjs
torture *args: build
    @node scripts/setup.mjs chorus/tests
    @node guests/build.mjs --no-fixtures
    @node chorus/tests/torture/torture.mjs --bin "{{binary}}" "$@"

# the same for a cluster: 100 games, 200 faults; arguments as of chorus/tests/cluster/torture.mjs
torture-cluster *args: build
    @node scripts/setup.mjs guests chorus/tests
    @node guests/build.mjs --no-fixtures
    @node chorus/tests/cluster/torture.mjs --bin "{{binary}}" "$@"

# bugs that are planted in a binary of their own: the checkers of the torture must find each; arguments as of chorus/tests/torture/planted.mjs
planted *args: build
    @node scripts/setup.mjs guests chorus/tests
    @node guests/build.mjs
    @node chorus/tests/torture/planted.mjs --bin "{{binary}}" "$@"

# a cluster on this machine, over a broker and a PostgreSQL of its own or given ones; arguments as of scripts/cluster.mjs
cluster *args: build
    @node scripts/setup.mjs guests chorus/tests
    @node guests/build.mjs --no-fixtures
    @node scripts/cluster.mjs "$@"

# the program of a release, in the dist folder beside release's: optimized across crates, 22 minutes of CPU the first time
build-dist:
    cargo build --profile dist --locked -p chorus

# the tables of docs/performance.md: chorus beside the floor, with --peers beside Colyseus; arguments as of scripts/bench.mjs
bench *args: build-dist
    @node scripts/setup.mjs guests chorus/tests
    @node guests/build.mjs
    @node scripts/bench.mjs "$@"

# the field's WebSocket conformance suite, against the edge's connections; arguments as of scripts/conformance.mjs
conformance *args:
    @node scripts/conformance.mjs "$@"

# what a release consists of, in target/packages, with the binary of `just build`; arguments as of scripts/package.mjs
package *args:
    @node scripts/package.mjs "$@"

# the pictures of the README, in docs/pictures, by headless Chromium
pictures: build
    @node scripts/setup.mjs chorus/tests guests
    @node guests/build.mjs --no-fixtures
    @CHORUS_BIN="{{binary}}" node scripts/pictures.mjs
    @node scripts/charts.mjs

# the docs as a site, in target/site; arguments as of scripts/site.mjs
site *args:
    @node scripts/setup.mjs site
    @node scripts/site.mjs "$@"

# fuzzes the decoders, each for a minute, or some of them for longer: `just fuzz core/client-frame --minutes 10`
[no-exit-message]
fuzz *args:
    @node scripts/fuzz.mjs "$@"

# formats Rust
fmt:
    cargo fmt --all

# all that CI checks besides tests: formatting, clippy, rustdoc, docs/, paths in the maps, licences and advisories
[no-exit-message]
lint:
    #!/usr/bin/env bash
    # Each of them, also when one before it has failed.
    set -u
    status=0
    check() { echo "lint: $*"; "$@" || { status=1; echo "lint: that failed"; }; }
    # Private items are documented too, so links to them are none that break.
    export RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links"
    check cargo fmt --all --check
    check node scripts/docs.mjs --check
    check node scripts/paths.mjs
    check cargo clippy --workspace --all-targets --release --locked --quiet -- -D warnings
    check cargo doc --workspace --no-deps --document-private-items --release --locked --quiet
    check node scripts/deny.mjs
    exit $status

# rustdoc, and the tables in docs/ that are made from the code
docs:
    node scripts/docs.mjs
    cargo doc --workspace --no-deps --document-private-items --release

# what CI runs
ci:
    @.ci/run
