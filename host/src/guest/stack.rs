//! The native stack of a room's calls. wasmtime keeps the last one in the room's store, from call to call.
//!
//! A call touches some 16 KiB of it, deep recursion up to [`budget::WASM_STACK`]. So a room that has had no call for a while
//! releases these pages, all but the topmost; its next call takes some 3 µs longer.

use wasmtime::{Func, Store, TypedFunc};

use super::{budget, start::run, store_data::StoreData};

/// What is released: all that wasm can have touched.
const RELEASED: usize = budget::WASM_STACK;

/// What may lie above it: the frames between the top of the stack and the function that releases the rest.
const ABOVE: usize = 512 * 1024;

const _: () = assert!(RELEASED + ABOVE <= budget::ASYNC_STACK);

/// A function of the host that releases the pages of the stack on which it runs.
pub(super) struct StackRelease(TypedFunc<(), ()>);

impl StackRelease {
    pub(super) fn new(store: &mut Store<StoreData>) -> StackRelease {
        let func = Func::wrap(&mut *store, release_below);
        StackRelease(func.typed(store).expect("it has no parameters and no result"))
    }

    /// No call may be in progress. An asynchronous call runs on the store's stack, although no wasm has a part in it.
    pub(super) async fn release(&self, store: &mut Store<StoreData>) -> wasmtime::Result<()> {
        run(self.0.call_async(store, ())).await
    }
}

/// Releases the pages below this function's frame.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
#[inline(never)]
fn release_below() {
    use rustix::mm::{Advice, madvise};

    /// For the frames of the call of `madvise`.
    const BELOW: usize = 1024;

    let mut frame = 0u8;
    let frame = &raw mut frame;
    let end = frame.addr() - BELOW;
    let end = frame.with_addr(end - end % rustix::param::page_size());
    // SAFETY: wasmtime calls this function on a stack of `ASYNC_STACK` bytes, near its top, so all of these pages are the
    // stack's. They are below the frames that are in use, so they have no content that is read again: a page that is touched
    // later begins with zeros.
    let released = unsafe { madvise(end.wrapping_sub(RELEASED).cast(), RELEASED, Advice::LinuxDontNeed) };
    debug_assert!(released.is_ok(), "{released:?}");
}

/// Elsewhere a room keeps its stack.
#[cfg(not(target_os = "linux"))]
fn release_below() {}
